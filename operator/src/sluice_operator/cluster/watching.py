"""Keeps the mirror in step with the API server: one list, then a stream, for each resource and namespace.

kopf streams too, but tells neither when everything has been listed, which passes must wait for, nor what has vanished
while a stream was down; and it keeps a record of each object that it has seen.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import Resource
from sluice_servicekit import errors

_LOG = logging.getLogger(__name__)

_NOT_INSTALLED_SECONDS = 30.0
_BACKOFF_SECONDS, _BACKOFF_CAP_SECONDS = 0.5, 30.0


@dataclass(frozen=True, slots=True)
class Scope:
    """What one stream tells of."""

    resource: Resource
    namespace: str | None = None
    """All where unset."""
    selector: str = ""
    """Of labels, in kubectl's words: `key`, `key=value` and `key!=value`, by commas; all objects when empty."""

    def selects(self, manifest: Manifest) -> bool:
        """True for an object of the resource that the stream tells of."""
        metadata = manifest["metadata"]
        labels = metadata.get("labels") or {}
        return self.namespace in (None, metadata["namespace"]) and all(
            _meets(labels, term) for term in self.selector.split(",") if term
        )


def _meets(labels: Mapping[str, str], term: str) -> bool:
    key, given, value = term.partition("=")
    if key.endswith("!"):
        return labels.get(key[:-1]) != value
    return labels.get(key) == value if given else key in labels


class Source(Protocol):
    """An API server, as streams need it. Errors are those of `Cluster`."""

    async def snapshot(self, scope: Scope) -> tuple[Sequence[Manifest], str]:
        """All objects, and the version at which they were so."""

    def changes(self, scope: Scope, version: str) -> AsyncIterator[tuple[str, Manifest]]:
        """`ADDED`, `MODIFIED`, `DELETED` and `BOOKMARK` since a version, until the server ends it.

        Raises:
            FailedPrecondition: the version is too old; list again.
        """


class Hears(Protocol):
    """Who is told."""

    def changed(self, resource: Resource, manifest: Manifest) -> None:
        """An object is new, or has changed."""

    def gone(self, resource: Resource, uid: str, version: int) -> None:
        """An object was gone at a version."""

    def listed(self, scope: Scope, uids: Set[str], version: int) -> None:
        """At a version there were these objects, and no others."""


class Watching:
    """All streams. `synced` once each of them has told what there is."""

    def __init__(
        self,
        source: Source,
        hears: Hears,
        scopes: Iterable[Scope],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._streams = [_Stream(source, hears, scope, clock) for scope in dict.fromkeys(scopes)]
        self._clock = clock

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Streams for the length of the block."""
        tasks = [asyncio.create_task(stream.run(), name=f"watch {stream.scope}") for stream in self._streams]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def synced(self) -> None:
        """Returns once everything there is has been told."""
        for stream in self._streams:
            await stream.synced.wait()

    def silence(self) -> tuple[float, str]:
        """The longest time, in seconds, for which one of the streams has been heard nothing from, and which."""
        now = self._clock()
        ages = [(now - stream.heard, stream.scope.resource.plural) for stream in self._streams]
        return max(ages, default=(0.0, ""))


class _Stream:
    def __init__(self, source: Source, hears: Hears, scope: Scope, clock: Callable[[], float]) -> None:
        self.scope = scope
        self.synced = asyncio.Event()
        self.heard = clock()
        self._source = source
        self._hears = hears
        self._clock = clock

    async def run(self) -> None:
        failures = 0
        while True:
            try:
                version = await self._list()
                failures = 0
                while True:
                    version = await self._follow(version)
            except errors.FailedPrecondition:
                _LOG.debug("the stream of %s is too far behind; listing again", self.scope.resource.plural)
            except (errors.Unimplemented, errors.NotFound):
                # Nothing of a resource that is not installed is all that there is of it.
                self._heard_nothing()
                await asyncio.sleep(_NOT_INSTALLED_SECONDS)
            except Exception as error:
                failures += 1
                if isinstance(error, errors.ServiceError):
                    _LOG.warning("watching %s failed: %s", self.scope.resource.plural, error.message)
                else:
                    _LOG.exception("watching %s failed", self.scope.resource.plural)
                wait = min(_BACKOFF_CAP_SECONDS, _BACKOFF_SECONDS * 2.0 ** min(failures, 30))
                await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries

    async def _list(self) -> str:
        manifests, version = await self._source.snapshot(self.scope)
        for manifest in manifests:
            self._hears.changed(self.scope.resource, manifest)
        there = {str(manifest["metadata"]["uid"]) for manifest in manifests}
        self._hears.listed(self.scope, there, int(version or 0))
        self.heard = self._clock()
        self.synced.set()
        return version

    def _heard_nothing(self) -> None:
        self.heard = self._clock()
        self.synced.set()

    async def _follow(self, version: str) -> str:
        resource = self.scope.resource
        async for what, manifest in self._source.changes(self.scope, version):
            self.heard = self._clock()
            metadata = manifest["metadata"]
            version = metadata["resourceVersion"]
            match what:
                case "ADDED" | "MODIFIED":
                    self._hears.changed(resource, manifest)
                case "DELETED":
                    self._hears.gone(resource, metadata["uid"], int(version))
        return version
