"""Runs the operator: streams into the mirror, kopf around the loops, until it is told to stop."""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

import kopf
from kubernetes.aio.client import ApiClient

from sluice_operator import metrics
from sluice_operator.cluster.kube import KubeCluster
from sluice_operator.cluster.watching import Scope, Watching
from sluice_operator.probing import Health
from sluice_operator.reconciling.announcing import Announcer
from sluice_operator.reconciling.kind import Kind
from sluice_operator.reconciling.labels import MANAGED_BY, OPERATOR
from sluice_operator.reconciling.mirror import Mirror
from sluice_operator.reconciling.news import News
from sluice_operator.reconciling.pacing import Pace
from sluice_operator.reconciling.reconciler import Reconciler
from sluice_operator.reconciling.wakeups import Wakeups
from sluice_operator.settings import OperatorSettings
from sluice_operator.triggers import kopf_settings, registry_of


def scopes_of(kinds: Sequence[Kind[Any, Any]], namespaces: Sequence[str] = ()) -> list[Scope]:
    """What has to be watched for kinds: their objects, their children by label, and what they listen to."""
    selectors: dict[Any, set[str]] = {}
    for kind in kinds:
        selectors.setdefault(kind.resource, set()).add("")
        for resource in kind.applies:
            selectors.setdefault(resource, set()).add(f"{MANAGED_BY}={OPERATOR}")
        for resource in kind.listens:
            selectors.setdefault(resource, set()).add(kind.selectors.get(resource, ""))
    return [
        Scope(resource, namespace, selector)
        for resource, wanted in selectors.items()
        for selector in ({""} if "" in wanted else sorted(wanted))
        for namespace in (namespaces or (None,))
    ]


async def run_operator(
    kinds: Sequence[Kind[Any, Any]],
    client: ApiClient,
    cluster: KubeCluster,
    mirror: Mirror,
    wakeups: Wakeups,
    settings: OperatorSettings,
    *,
    stop: asyncio.Event,
    ready: asyncio.Event | None = None,
    synced: asyncio.Event | None = None,
    health: Health | None = None,
) -> None:
    """Works until `stop` is set, or kopf ends.

    Args:
        mirror: Is filled here, before the first pass.
        ready: Set once the mirror has been filled and kopf runs.
        synced: Set once the mirror has been filled.
        health: Is told what to look at.
    """
    reconciler = Reconciler(
        cluster,
        mirror,
        turns=asyncio.Semaphore(settings.concurrent_passes),
        announcer=Announcer(cluster, settings.instance),
    )
    news = News(kinds, mirror, wakeups, reconciler.forget)
    watching = Watching(cluster, news, scopes_of(kinds, settings.namespaces))
    pace = Pace(settings.resync_seconds, settings.backoff_base_seconds, settings.backoff_cap_seconds)
    registry = registry_of(kinds, reconciler, wakeups, pace, client, watching.synced)
    _show(kinds, mirror, watching)
    if health is not None:
        health.objects = lambda: sum(mirror.count(kind.resource) for kind in kinds)
        health.pass_age = lambda: time.monotonic() - reconciler.last_pass
        health.silence = watching.silence
        health.leads = True
    async with watching.running():
        if not await before(watching.synced(), stop):
            return
        if synced is not None:
            synced.set()
        if health is not None:
            health.ready = True
        await kopf.operator(
            registry=registry,
            settings=kopf_settings(namespaced=bool(settings.namespaces)),
            standalone=True,
            clusterwide=not settings.namespaces,
            namespaces=settings.namespaces,
            stop_flag=stop,
            ready_flag=ready,
        )


def _show(kinds: Sequence[Kind[Any, Any]], mirror: Mirror, watching: Watching) -> None:
    metrics.SILENCE.set_function(lambda: watching.silence()[0])
    for scope in scopes_of(kinds):
        metrics.OBJECTS.labels(scope.resource.kind).set_function(partial(mirror.count, scope.resource))


async def before(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Works until it is done, or is to stop; true where it is done."""
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
            return True
        return False
    finally:
        working.cancel()
        waiting.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)
