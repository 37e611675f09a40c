"""An operator over a fake cluster, pass by pass and in virtual time. kopf's part is played here: who is looked after,
and the finalizer that holds what is deleted."""

import asyncio
import copy
from collections.abc import Callable, Sequence
from typing import Any

from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import Resource
from sluice_operator.operating import scopes_of
from sluice_operator.reconciling.kind import Kind
from sluice_operator.reconciling.mirror import Mirror
from sluice_operator.reconciling.news import News
from sluice_operator.reconciling.pacing import Pace
from sluice_operator.reconciling.reconciler import Reconciler
from sluice_operator.reconciling.wakeups import Wakeups
from support.fake_cluster import Event, FakeCluster, Streams
from support.fake_cluster.faults import Faults

FINALIZER = "sluice.dev/operator"

#: Without anything new, and longer than between two passes that come anyway: then there is nothing more to come.
_QUIET_SECONDS = 700.0
_HOPS = 2000
#: Whatever has been heard of is dealt with without waiting for the pass that comes anyway.
_USUAL_SECONDS = 500.0

AnyKind = Kind[Any, Any]


class Woken(Wakeups):
    """Notes who is woken, for a driver that waits for nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.uids: set[str] = set()

    def wake(self, uid: str) -> None:
        self.uids.add(uid)


class Operated:
    """One operator after another, over one cluster.

    Args:
        make: The kinds of an operator that starts; whatever they hold in memory is new.
    """

    def __init__(
        self, cluster: FakeCluster, make: Callable[["Operated"], Sequence[AnyKind]], now: float = 1767225600.0
    ) -> None:
        self.cluster = cluster
        self.now = now
        self.passes = 0
        self.on_time: Callable[[float], None] = lambda seconds: None
        """Told how much time has gone by; `now` is past it."""
        self.longest_hop = _QUIET_SECONDS
        """Seconds; shorter where something outside the cluster has to be looked at."""
        self.faults = Faults(cluster)
        self.streams = Streams(cluster, self._hear)
        self._make = make
        self._pace = Pace(chance=lambda: 0.5)
        self.start()

    def start(self) -> None:
        """The operator of before is gone, with all that it had in memory; another takes over."""
        self.faults.killed = False
        self.mirror = self.cluster.mirror = Mirror()
        self.woken = Woken()
        self.kinds = tuple(self._make(self))
        self.reconciler = Reconciler(self.cluster, self.mirror, lambda: self.now)
        self._news = News(self.kinds, self.mirror, self.woken, self.reconciler.forget)
        self._scopes = scopes_of(self.kinds)
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self.relist()

    async def step(self) -> bool:
        """One pass, side by side, over each object that is woken or due; false where there is none."""
        found = [(kind, manifest) for kind in self.kinds for manifest in self._objects(kind)]
        turns = [
            self._turn(kind, manifest)
            for kind, manifest in found
            if (uid := manifest["metadata"]["uid"]) in self.woken.uids or self._due.get(uid, 0.0) <= self.now
        ]
        ended = await asyncio.gather(*turns, return_exceptions=True)
        for each in ended:
            if isinstance(each, BaseException) and not (
                self.faults.killed and isinstance(each, asyncio.CancelledError)
            ):
                raise each
        if self.faults.killed:
            self.start()
        return bool(turns)

    def advance(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds
        self.on_time(seconds)

    def wake_all(self) -> None:
        """Every object gets a pass at the next step."""
        for kind in self.kinds:
            self.woken.uids |= {manifest["metadata"]["uid"] for manifest in self._objects(kind)}

    async def settle(self, changes: Callable[[], object] = lambda: None) -> None:
        """Goes on without faults until nothing happens any more.

        Args:
            changes: Something that differs whenever the world outside the cluster has changed.
        """
        self.faults.calm()
        self.relist()
        last = self.now
        for _ in range(_HOPS):
            before = self.cluster.changes, changes()
            while True:
                self.streams.flow()
                if not await self.step() and not self.streams.held:
                    break
            if (self.cluster.changes, changes()) != before:
                assert self.now - last < _USUAL_SECONDS, f"came late: {self.cluster.writes[-3:]}"
                last = self.now
            elif self.now - last > _QUIET_SECONDS:
                return
            due = min(self._due.values(), default=self.now + _QUIET_SECONDS)
            self.advance(min(max(0.5, due - self.now), self.longest_hop))
        raise AssertionError(f"never quiet: {self.cluster.writes[-20:]}")

    def _objects(self, kind: AnyKind) -> list[dict[str, Any]]:
        return [manifest for key, manifest in self.cluster.objects.items() if key[0] == kind.resource]

    async def _turn(self, kind: AnyKind, manifest: Manifest) -> None:
        metadata = manifest["metadata"]
        uid, namespace, name = metadata["uid"], metadata["namespace"], metadata["name"]
        finalizers = metadata.get("finalizers") or []
        self.passes += 1
        self.woken.uids.discard(uid)
        if not metadata.get("deletionTimestamp"):
            if FINALIZER not in finalizers:
                self.cluster.add_finalizer(kind.resource, namespace, name, FINALIZER)
            outcome = await self.reconciler.run_once(kind, uid)
            failures = self._failures[uid] = self._failures.get(uid, 0) + 1 if outcome.failed else 0
            self._due[uid] = self.now + self._pace.wait(outcome, failures)
            return
        if FINALIZER not in finalizers:
            self._due[uid] = self.now + self._pace.resync
            return
        leaving = await self.reconciler.leave_once(kind, uid)
        self._due[uid] = self.now + max(leaving.again_in, 0.1)
        if leaving.done:
            self._due.pop(uid)
            self.cluster.drop_finalizer(kind.resource, namespace, name, FINALIZER)

    def _hear(self, event: Event) -> None:
        # A stream tells of what its selector selects: what is no longer selected is gone.
        metadata, resource = event.manifest["metadata"], event.resource
        if not any(scope.resource == resource for scope in self._scopes):
            return
        if event.type != "DELETED" and self._is_selected(resource, event.manifest):
            self._news.changed(resource, event.manifest)
        else:
            self._due.pop(metadata["uid"], None)
            self._news.gone(resource, metadata["uid"], int(metadata["resourceVersion"]))

    def _is_selected(self, resource: Resource, manifest: Manifest) -> bool:
        return any(scope.resource == resource and scope.selects(manifest) for scope in self._scopes)

    def relist(self) -> None:
        """All streams begin anew: what was on its way is lost, and everything is listed."""
        self.streams.held.clear()
        for scope in self._scopes:
            found = [
                copy.deepcopy(manifest)
                for key, manifest in self.cluster.objects.items()
                if key[0] == scope.resource and scope.selects(manifest)
            ]
            for manifest in found:
                self._news.changed(scope.resource, manifest)
            uids = {manifest["metadata"]["uid"] for manifest in found}
            self._news.listed(scope, uids, self.cluster.version)
