"""The snapshot stream: every watcher gets the newest snapshot and says whether it takes it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from sluice.snapshot.v1 import snapshot_pb2, snapshot_pb2_grpc
from sluice_api.snapshot import Snapshot
from sluice_servicekit.errors import InvalidArgument

_LOG = logging.getLogger(__name__)


class Publisher:
    """The newest snapshot, and those who wait for the next one. Without any they wait for the first."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self._current = snapshot
        self._changed = asyncio.Condition()

    @property
    def current(self) -> Snapshot | None:
        """The newest snapshot; none before the first."""
        return self._current

    @property
    def digest(self) -> str:
        """Its digest, or nothing."""
        return self._current.digest if self._current is not None else ""

    async def publish(self, snapshot: Snapshot) -> None:
        """Hands a new snapshot to all watchers."""
        async with self._changed:
            self._current = snapshot
            self._changed.notify_all()

    async def newer_than(self, digest: str) -> Snapshot:
        """The newest snapshot, once it is not the one named."""
        async with self._changed:
            while self._current is None or self._current.digest == digest:
                await self._changed.wait()
            return self._current


@dataclass(frozen=True, slots=True)
class WatcherState:
    """A connected watcher, and its last word."""

    service: str
    instance: str
    version: str
    accepted: str = ""
    """Digest of what it runs; nothing yet when empty."""
    refused: str = ""
    """Digest of what it has refused last, where that is the last that it was sent."""
    reason: str = ""
    """Why it refuses."""
    problems: tuple[str, ...] = ()
    """What of the accepted snapshot is not in force there, a sentence for each object."""


class SnapshotServicer(snapshot_pb2_grpc.SnapshotServiceServicer):
    """`sluice.snapshot.v1.SnapshotService`.

    Args:
        changed: Called when a watcher comes, goes, or says something new.
    """

    def __init__(self, publisher: Publisher, changed: Callable[[], None] = lambda: None) -> None:
        self._publisher = publisher
        self._changed = changed
        self._watching: dict[object, WatcherState] = {}

    @property
    def watchers(self) -> tuple[WatcherState, ...]:
        """Who watches, by service and instance; of one that has connected again only the newest stream."""
        newest = {(state.service, state.instance): state for state in self._watching.values()}
        return tuple(state for _, state in sorted(newest.items()))

    async def Watch(
        self, request_iterator: AsyncIterator[snapshot_pb2.WatchRequest], context: Any
    ) -> AsyncIterator[snapshot_pb2.WatchResponse]:
        """Sends the current snapshot and each later one."""
        first = await anext(aiter(request_iterator), None)
        if first is None or not first.HasField("watcher"):
            raise InvalidArgument("the first message must carry `watcher`", field="watcher")
        stream, who = object(), first.watcher
        self._heard(stream, WatcherState(who.service, who.instance, who.version), first)
        listening = asyncio.create_task(self._listen(stream, request_iterator))
        try:
            sent = first.accepted_digest
            while True:
                snapshot = await self._publisher.newer_than(sent)
                sent = snapshot.digest
                yield snapshot_pb2.WatchResponse(digest=snapshot.digest, content=snapshot.content)
        finally:
            del self._watching[stream]
            self._changed()
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

    async def ListWatchers(
        self, request: snapshot_pb2.ListWatchersRequest, context: Any
    ) -> snapshot_pb2.ListWatchersResponse:
        """Who watches, and what each of them runs."""
        return snapshot_pb2.ListWatchersResponse(
            current_digest=self._publisher.digest,
            watchers=[
                snapshot_pb2.WatcherStatus(
                    watcher=snapshot_pb2.Watcher(
                        service=state.service, instance=state.instance, version=state.version
                    ),
                    accepted_digest=state.accepted,
                    refused_digest=state.refused,
                    reason=state.reason,
                    problems=state.problems,
                )
                for state in self.watchers
            ],
        )

    async def _listen(self, stream: object, requests: AsyncIterator[snapshot_pb2.WatchRequest]) -> None:
        async for request in requests:
            state = self._watching[stream]
            self._heard(stream, state, request)
            if request.refused_digest:
                _LOG.warning("%s %s refuses the snapshot: %s", state.service, state.instance, request.reason)

    def _heard(self, stream: object, before: WatcherState, request: snapshot_pb2.WatchRequest) -> None:
        state = replace(
            before,
            accepted=request.accepted_digest,
            refused=request.refused_digest,
            reason=request.reason,
            problems=tuple(request.problems),
        )
        if self._watching.get(stream) != state:
            self._watching[stream] = state
            self._changed()
