"""From the mirror's objects to every service: compiled when something changes, served, kept, and told."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sluice_api.objects.guardrail_policy import GuardrailPolicy
from sluice_api.objects.knowledge_base import KnowledgeBase
from sluice_api.objects.model_server import ModelServer
from sluice_api.objects.pipeline import Pipeline
from sluice_api.snapshot import Snapshot
from sluice_api.tolerant import Current, Good, Key, Settled, Standing, State, settle
from sluice_operator.cluster.resources import resource_of
from sluice_operator.reconciling.mirror import Mirror
from sluice_operator.reconciling.wakeups import Wakeups, within
from sluice_operator.snapshots import metrics
from sluice_operator.snapshots.last_good import LastGood
from sluice_operator.snapshots.source import Source
from sluice_operator.snapshots.views import Deliveries, Delivery, Found, Name, View
from sluice_servicekit.errors import ServiceError
from sluice_servicekit.snapshot_server import Publisher, SnapshotServicer

_LOG = logging.getLogger(__name__)

#: The kinds whose status tells of the snapshot.
_TOLD = (Pipeline, GuardrailPolicy)

#: What pipelines refer to.
_REFERRED = {ModelServer.KIND, KnowledgeBase.KIND, GuardrailPolicy.KIND}


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds, where nothing else is said."""

    gather: float = 0.05
    """From the first change to its compilation: what is applied together is mostly compiled together."""
    between: float = 0.4
    """At least between the beginnings of two compilations, and three times as long as the last one took."""
    megabytes: float = 10.0
    """A second, at most, that snapshots make to all watchers together."""
    look: float = 1.0
    """Between two looks at the mirror though nothing was heard."""
    tell: float = 0.5
    """From the first acknowledgement to the passes over objects: many of them become one status."""
    welcome: float = 5.0
    """From the first snapshot of this process until a watcher that is not there counts as absent."""
    again: float = 2.0
    """Between two tries to read or to write the last good objects, and between two writes."""


@dataclass(frozen=True, slots=True)
class _InForce:
    """What the last compilation came to."""

    standings: Mapping[Key, Standing] = field(default_factory=lambda: MappingProxyType({}))
    judged: Mapping[Key, int] = field(default_factory=lambda: MappingProxyType({}))
    """Generations."""
    names: Mapping[Name, Found] = field(default_factory=lambda: MappingProxyType({}))


class Distributor:
    """The one writer of the snapshot. Serves nothing before the mirror is filled and the last good objects are read."""

    def __init__(
        self,
        mirror: Mirror,
        wakeups: Wakeups,
        last_good: LastGood,
        pace: Pace | None = None,
    ) -> None:
        self._mirror = mirror
        self._wakeups = wakeups
        self._last_good = last_good
        self._pace = pace or Pace()
        self._source = Source(mirror)
        self._publisher = Publisher()
        self.servicer = SnapshotServicer(self._publisher, self._heard)
        self._deliveries = Deliveries()
        self._in_force = _InForce()
        self._good: Mapping[Key, Good] = {}
        self._poked, self._unsaid, self._unwritten = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._told: Mapping[Key, View] = {}
        self._shared_told: Mapping[Name, object] = {}
        self._settling = True
        self._due = True
        self.compilations = 0
        """How often the objects were compiled."""

    @property
    def digest(self) -> str:
        """Of the snapshot that is served; empty before the first."""
        return self._publisher.digest

    @property
    def snapshot(self) -> Snapshot | None:
        """What is served."""
        return self._publisher.current

    def view(self, key: Key) -> View:
        """How an object stands."""
        standing = self._in_force.standings.get(key)
        judged = self._in_force.judged.get(key, 0)
        if standing is None or standing.state is State.LEFT_OUT:
            return View(standing, judged, Delivery(), self._settling)
        delivery = self._deliveries.of((key.kind, key.name), self.servicer.watchers)
        return View(standing, judged, delivery, self._settling)

    def find(self, kind: str, name: str) -> Found | None:
        """The object that has a name in the snapshot, deleted ones that are kept included."""
        return self._in_force.names.get((kind, name))

    def resting(self, model_server: str, model_name: str) -> str:
        """The name of the adapter that has an alias and is not ready; empty where there is none such."""
        found = self.snapshot.adapter_of(model_server, model_name) if self.snapshot is not None else None
        return found[0] if found is not None and found[1].resting else ""

    def wake_compiler(self) -> None:
        """Something may have changed that the snapshot is made of."""
        self._poked.set()

    async def run(self, synced: Callable[[], Awaitable[None]]) -> None:
        """Works until it is cancelled.

        Args:
            synced: Returns once the mirror has been filled.
        """
        await synced()
        self._good = await self._read()
        async with asyncio.TaskGroup() as tasks:
            for step in (self._look, self._write, self._tell):
                tasks.create_task(self._for_ever(step))
            tasks.create_task(self._welcome())

    async def _for_ever(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except Exception:  # what was in force stays, and the next change may be another matter
                _LOG.exception("a fault in the distribution of the snapshot")
                await asyncio.sleep(self._pace.again)

    async def _look(self) -> None:
        self._poked.clear()
        began, before = time.monotonic(), self.digest
        self._due = self._source.changed() or self._due
        if self._due:
            await self._compile(self._source.current)
            self._due = False
        took = time.monotonic() - began
        await asyncio.sleep(max(self._pace.between - took, 3 * took, self._sending(before), 0.0))
        if await within(self._poked, self._pace.look):
            await asyncio.sleep(self._pace.gather)

    def _sending(self, before: str) -> float:
        """Seconds that the newest snapshot keeps the network busy, where it is new."""
        if self.snapshot is None or self.digest == before:
            return 0.0
        return len(self.snapshot.content) * len(self.servicer.watchers) / (1e6 * self._pace.megabytes)

    async def _compile(self, current: Mapping[Key, Current]) -> None:
        with metrics.SECONDS.time():
            settled, digest = await asyncio.to_thread(_settled, current, self._good)
        self.compilations += 1
        self._good = settled.good
        self._in_force = _InForce(
            standings=settled.standings,
            judged={key: each.generation for key, each in current.items()},
            names={(key.kind, key.name): Found(key, settled.standings[key].state) for key in settled.good},
        )
        if digest != self._publisher.digest:
            running = {watcher.accepted for watcher in self.servicer.watchers}
            self._deliveries.published(digest, _versions(settled.snapshot), running)
            await self._publisher.publish(settled.snapshot)
            metrics.BYTES.set(len(settled.snapshot.content))
            _LOG.info("snapshot %s is out", digest)
        metrics.count_objects(settled.standings.values())
        self._unwritten.set()
        self._unsaid.set()

    async def _read(self) -> Mapping[Key, Good]:
        while True:
            try:
                return await self._last_good.read()
            except ServiceError as error:
                _LOG.error("no snapshot is served until the last good objects can be read: %s", error.message)
                await asyncio.sleep(self._pace.again)

    async def _write(self) -> None:
        await self._unwritten.wait()
        self._unwritten.clear()
        try:
            await self._last_good.write(self._good)
        except ServiceError as error:
            _LOG.error("the last good objects are not kept: %s", error.message)
            self._unwritten.set()
        await asyncio.sleep(self._pace.again)

    async def _welcome(self) -> None:
        await self._publisher.newer_than("")
        await asyncio.sleep(self._pace.welcome)
        self._settling = False
        self._unsaid.set()

    async def _tell(self) -> None:
        await self._unsaid.wait()
        await asyncio.sleep(self._pace.tell)
        self._unsaid.clear()
        self._wake_told()

    def _wake_told(self) -> None:
        metrics.count_watchers(self.digest, self.servicer.watchers)
        told: dict[Key, View] = {}
        shared = self._shared()
        for model in _TOLD:
            for manifest in self._mirror.all(resource_of(model)):
                metadata = manifest["metadata"]
                key = Key(model.KIND, metadata["namespace"], metadata["name"])
                told[key] = self.view(key)
                other = model is Pipeline and shared != self._shared_told
                if other or told[key] != self._told.get(key):
                    self._wakeups.wake(metadata["uid"])
        self._told, self._shared_told = told, shared

    def _shared(self) -> Mapping[Name, object]:
        """What pipelines tell of what they refer to."""
        return {
            name: (found, self._problem(found.key))
            for name, found in self._in_force.names.items()
            if name[0] in _REFERRED
        }

    def _problem(self, key: Key) -> str:
        if key.kind != GuardrailPolicy.KIND:
            return ""
        return next((each.problem for each in self.view(key).delivery.watchers if each.problem), "")

    def _heard(self) -> None:
        self._unsaid.set()


def _settled(current: Mapping[Key, Current], good: Mapping[Key, Good]) -> tuple[Settled, str]:
    settled = settle(current, good)
    return settled, settled.snapshot.digest  # worked out here, since it takes a while


def _versions(snapshot: Snapshot) -> Mapping[Name, str]:
    return {
        **{(Pipeline.KIND, name): each.version for name, each in snapshot.pipelines.items()},
        **{(GuardrailPolicy.KIND, name): each.version for name, each in snapshot.guardrail_policies.items()},
    }
