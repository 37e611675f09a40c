"""Who does the work: the process that holds a Lease.

The official client's `aio.leaderelection` would do but for three things: it gives nothing back at its end, an API
server that cannot be reached ends it, and it writes local times without a zone.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

from sluice_operator.cluster.protocol import NO_VERSION, Cluster
from sluice_operator.cluster.resources import LEASES
from sluice_servicekit import errors

_LOG = logging.getLogger(__name__)


class Lease:
    """A `coordination.k8s.io` Lease, as other controllers hold theirs.

    Clocks of other machines are not believed: a Lease has run out when it has not changed for its own length, seen from
    here. Each write names the version that was read, so that of two takers one fails.

    Args:
        identity: Unique; a process that starts anew needs another one.
        seconds: The length that it has while it is held here. It is renewed each third of it, and given up for lost
            after two thirds without success, before anybody else may take it.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        name: str,
        identity: str,
        seconds: int = 15,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._cluster = cluster
        self._namespace, self._name = namespace, name
        self._identity = identity
        self._seconds = seconds
        self._clock = clock
        self._now = now
        self._seen: tuple[str, float] = ("", 0.0)
        """The version that was read last, and when it was read first."""
        self._renewed = 0.0

    async def acquire(self) -> None:
        """Returns once the Lease is held."""
        while True:
            try:
                if await self._take():
                    _LOG.info("%s holds the Lease %s/%s", self._identity, self._namespace, self._name)
                    return
            except errors.Conflict:
                _LOG.debug("somebody else was quicker")
            except errors.ServiceError as error:
                _LOG.warning("the Lease cannot be read or taken: %s", error.message)
            await asyncio.sleep(min(2.0, self._seconds / 5))

    @contextlib.asynccontextmanager
    async def held(self, lost: Callable[[str], None]) -> AsyncIterator[None]:
        """Renews the Lease for the length of the block, then gives it back.

        Args:
            lost: Told why, at most once, when somebody else may have it.
        """
        renewing = asyncio.create_task(self._renew_forever(lost), name="renew the Lease")
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            with contextlib.suppress(errors.ServiceError):
                await self._release()

    async def _take(self) -> bool:
        started = self._clock()
        lease = await self._cluster.get(LEASES, self._namespace, self._name)
        spec = (lease or {}).get("spec") or {}
        version = lease["metadata"]["resourceVersion"] if lease is not None else NO_VERSION
        if self._seen[0] != version:
            self._seen = (version, started)
        length = float(spec.get("leaseDurationSeconds") or self._seconds)
        if spec.get("holderIdentity") and started - self._seen[1] < length:
            return False
        now = self._micro_time()
        await self._write(
            {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": self._seconds,
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": int(spec.get("leaseTransitions") or 0) + (lease is not None),
            },
            version,
        )
        self._renewed = started
        return True

    async def _renew_forever(self, lost: Callable[[str], None]) -> None:
        while True:
            await asyncio.sleep(self._seconds / 3)
            deadline = self._renewed + self._seconds * 2 / 3
            try:
                async with asyncio.timeout(max(0.1, deadline - self._clock())):
                    if not await self._renew():
                        lost("somebody else has taken it")
                        return
            except (errors.ServiceError, TimeoutError) as error:
                _LOG.warning(
                    "the Lease could not be renewed: %s", getattr(error, "message", "no answer in time")
                )
                if self._clock() >= deadline:
                    lost("it could not be renewed in time")
                    return

    async def _renew(self) -> bool:
        started = self._clock()
        lease = await self._cluster.get(LEASES, self._namespace, self._name)
        spec = (lease or {}).get("spec") or {}
        if lease is None or spec.get("holderIdentity") != self._identity:
            return False
        await self._write({**spec, "renewTime": self._micro_time()}, lease["metadata"]["resourceVersion"])
        self._renewed = started
        return True

    async def _release(self) -> None:
        lease = await self._cluster.get(LEASES, self._namespace, self._name)
        spec = (lease or {}).get("spec") or {}
        if lease is not None and spec.get("holderIdentity") == self._identity:
            kept = {"leaseTransitions": spec.get("leaseTransitions") or 1, "leaseDurationSeconds": 1}
            await self._write(kept, lease["metadata"]["resourceVersion"])

    async def _write(self, spec: dict[str, Any], version: str) -> None:
        metadata = {"name": self._name, "namespace": self._namespace, "resourceVersion": version}
        manifest = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}
        await self._cluster.apply(LEASES, manifest)

    def _micro_time(self) -> str:
        return datetime.fromtimestamp(self._now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
