"""When adapters become ready, by a watch stream of the bench's own."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from operating.world import ADAPTERS, NAMESPACE
from sluice_operator.cluster.kube import KubeCluster
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.watching import Scope
from sluice_servicekit.errors import ServiceError

_SCOPE = Scope(ADAPTERS, NAMESPACE)


class Readiness:
    """Which adapters are ready, and since when by the monotonic clock."""

    def __init__(self) -> None:
        self.since: dict[str, float] = {}
        self.pods: dict[str, str] = {}
        """The pod that has it loaded."""
        self._changed = asyncio.Event()

    async def wait(self, holds: Callable[[], bool], seconds: float) -> bool:
        """True once it holds, which is looked at with every change; false after `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()
        return holds()

    def all_ready(self, names: Iterable[str]) -> bool:
        """True where all of them are."""
        return all(name in self.since for name in names)

    def hear(self, what: str, manifest: Manifest) -> None:
        """Takes over what a stream says."""
        name = manifest["metadata"]["name"]
        if what == "DELETED" or not _is_ready(manifest):
            self.since.pop(name, None)
        else:
            self.since.setdefault(name, time.monotonic())
        loaded = [pod for pod in (manifest.get("status") or {}).get("pods", ()) if pod["state"] == "Loaded"]
        self.pods[name] = loaded[0]["podName"] if loaded else ""
        self._changed.set()


@asynccontextmanager
async def watched(cluster: KubeCluster) -> AsyncIterator[Readiness]:
    """Readiness for the length of the block."""
    readiness = Readiness()
    following = asyncio.create_task(_follow(cluster, readiness))
    try:
        yield readiness
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _follow(cluster: KubeCluster, readiness: Readiness) -> None:
    while True:
        with contextlib.suppress(ServiceError):
            manifests, version = await cluster.snapshot(_SCOPE)
            for manifest in manifests:
                readiness.hear("ADDED", manifest)
            while True:
                async for what, manifest in cluster.changes(_SCOPE, version):
                    version = manifest["metadata"]["resourceVersion"]
                    if what != "BOOKMARK":
                        readiness.hear(what, manifest)
        await asyncio.sleep(0.5)


def _is_ready(manifest: Manifest) -> bool:
    status = manifest.get("status") or {}
    return status.get("observedGeneration") == manifest["metadata"]["generation"] and any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in status.get("conditions", ())
    )
