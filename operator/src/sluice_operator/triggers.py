"""The only module that knows kopf: it starts a loop for each object, and holds back deletions. Decides nothing.

kopf lists and streams the custom resources, runs a daemon for each object, and keeps the finalizer. The loops read the
mirror, which `cluster.watching` fills.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import aiohttp
import kopf
from kubernetes.aio.client import ApiClient

from sluice_operator.reconciling.kind import Kind
from sluice_operator.reconciling.pacing import Pace
from sluice_operator.reconciling.reconciler import Outcome, Reconciler
from sluice_operator.reconciling.wakeups import Wakeups

FINALIZER = "sluice.dev/operator"

#: kopf's word on each object that it starts and stops looking at.
_OBJECTS_LOG = logging.getLogger("kopf.objects")
_SPREAD_SECONDS = 0.5
#: kopf writes a finalizer on each new object, on thousands at once where it may, and each connection by TLS holds some
#: 300 kB. Its streams, one for each kind, are among them.
_CONNECTIONS = 48


def registry_of(
    kinds: Sequence[Kind[Any, Any]],
    reconciler: Reconciler,
    wakeups: Wakeups,
    pace: Pace,
    client: ApiClient,
    synced: Callable[[], Awaitable[None]],
) -> kopf.OperatorRegistry:
    """What kopf is to run.

    Args:
        synced: Returns once the mirror has been filled; no pass is made before.
    """
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def log_in(**_: object) -> kopf.AiohttpSession:
        return await _session(client)

    for kind in kinds:
        _register(kind, reconciler, wakeups, pace, registry, synced)
    return registry


def _register(
    kind: Kind[Any, Any],
    reconciler: Reconciler,
    wakeups: Wakeups,
    pace: Pace,
    registry: kopf.OperatorRegistry,
    synced: Callable[[], Awaitable[None]],
) -> None:
    resource = kind.resource
    where = (resource.group, resource.version, resource.plural)

    # kopf keeps each object as it came, and this is half of it.
    @kopf.on.event(*where, id="slim", registry=registry)
    async def slim(event: kopf.RawEvent, **_: object) -> None:
        cast(dict[str, Any], event["object"]["metadata"]).pop("managedFields", None)

    kopf.on.event(*where, id="lighten", registry=registry)(_lighten)

    # A daemon that does not end by itself is cancelled at once: passes may be cut anywhere.
    @kopf.daemon(
        *where,
        id="reconcile",
        registry=registry,
        cancellation_timeout=5.0,
        initial_delay=lambda **_: random.uniform(0.0, _SPREAD_SECONDS),  # noqa: S311 - spreads the start
    )
    async def reconcile_forever(uid: str, stopped: kopf.DaemonStopped, **_: object) -> None:
        try:
            await synced()
            failures = 0
            while not stopped:
                wakeups.clear(uid)  # before anything is read, so that no change is lost
                outcome = await reconciler.run_once(kind, uid)
                failures = failures + 1 if outcome.failed else 0
                if outcome.name == "leaving":
                    await stopped.wait()  # kopf is about to say so, and calls what is below
                else:
                    await wakeups.wait(uid, pace.wait(outcome, failures))
        except asyncio.CancelledError:
            if not stopped:
                raise

    # In one call, not by kopf's retries: it would note each of them in an annotation.
    @kopf.on.delete(*where, id="leave", registry=registry)
    async def leave(uid: str, **_: object) -> None:
        await synced()
        failures = 0
        while True:
            wakeups.clear(uid)
            leaving = await reconciler.leave_once(kind, uid)
            if leaving.done:
                return
            failures = failures + 1 if leaving.failed else 0
            outcome = Outcome(failed=leaving.failed, again_in=leaving.again_in)
            await wakeups.wait(uid, pace.wait(outcome, failures))


async def _lighten(event: kopf.RawEvent, **_: object) -> None:
    """kopf keeps what it was last told of an object for as long as its daemon lives, and the loops read the mirror."""
    told = cast(dict[str, Any], event["object"])
    for part in ("spec", "status"):
        told.pop(part, None)
    told["metadata"].pop("managedFields", None)


def kopf_settings(*, namespaced: bool) -> kopf.OperatorSettings:
    """How kopf is to behave: silent, and with names of its own on our objects.

    Args:
        namespaced: It may then be allowed nothing outside, and looks at its start alone which kinds are installed.
    """
    if not _OBJECTS_LOG.isEnabledFor(logging.DEBUG):
        _OBJECTS_LOG.setLevel(logging.WARNING)
    settings = kopf.OperatorSettings()
    settings.persistence.finalizer = FINALIZER
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix="sluice.dev")
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.posting.enabled = False
    settings.scanning.disabled = namespaced
    settings.background.instant_exit_timeout = 0.2  # until idle loops are cancelled
    settings.queueing.idle_timeout = 1.0
    settings.watching.server_timeout = 290
    settings.watching.connect_timeout = 30
    settings.execution.default_backoff = 5
    return settings


class _NoDiffs(kopf.DiffBaseStorage):
    """Loops compare what is with what ought to be: what kopf would note on each object as handled is not asked."""

    def build(self, **_: Any) -> Any:
        return None

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        return


async def _session(client: ApiClient) -> kopf.AiohttpSession:
    """A session of the client's own making: one login for both. kopf asks for another when it is answered 401."""
    headers: dict[str, str] = {"User-Agent": client.user_agent}
    await client.update_params_for_auth(headers, [], ["BearerToken"], "", "GET", None)
    rest = client.rest_client
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=rest.ssl_context),
        headers=headers,
        proxy=rest.proxy or None,
        read_bufsize=2**21,
    )
    return kopf.AiohttpSession(server=cast(str, client.configuration.host), aiohttp_session=session)
