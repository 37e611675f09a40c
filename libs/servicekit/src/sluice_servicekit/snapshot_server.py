"""The snapshot stream: every watcher gets the newest snapshot and says whether it takes it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sluice.snapshot.v1 import snapshot_pb2, snapshot_pb2_grpc
from sluice_api.snapshot import Snapshot
from sluice_servicekit.errors import InvalidArgument

_LOG = logging.getLogger(__name__)


class Publisher:
    """The newest snapshot, and those who wait for the next one."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._current = snapshot
        self._changed = asyncio.Condition()

    @property
    def current(self) -> Snapshot:
        """The newest snapshot."""
        return self._current

    async def publish(self, snapshot: Snapshot) -> None:
        """Hands a new snapshot to all watchers."""
        async with self._changed:
            self._current = snapshot
            self._changed.notify_all()

    async def newer_than(self, digest: str) -> Snapshot:
        """The newest snapshot, once it is not the one named."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._current.digest != digest)
            return self._current


@dataclass
class _Watching:
    watcher: snapshot_pb2.Watcher
    accepted: str = ""
    refused: str = ""
    reason: str = ""
    problems: tuple[str, ...] = ()


class SnapshotServicer(snapshot_pb2_grpc.SnapshotServiceServicer):
    """`sluice.snapshot.v1.SnapshotService`."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._watching: list[_Watching] = []

    async def Watch(
        self, request_iterator: AsyncIterator[snapshot_pb2.WatchRequest], context: Any
    ) -> AsyncIterator[snapshot_pb2.WatchResponse]:
        """Sends the current snapshot and each later one."""
        first = await anext(aiter(request_iterator), None)
        if first is None or not first.HasField("watcher"):
            raise InvalidArgument("the first message must carry `watcher`", field="watcher")
        watching = _Watching(first.watcher, first.accepted_digest, problems=tuple(first.problems))
        self._watching.append(watching)
        listening = asyncio.create_task(self._listen(watching, request_iterator))
        try:
            sent = first.accepted_digest
            while True:
                snapshot = await self._publisher.newer_than(sent)
                sent = snapshot.digest
                yield snapshot_pb2.WatchResponse(digest=snapshot.digest, content=snapshot.content)
        finally:
            self._watching.remove(watching)
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

    async def ListWatchers(
        self, request: snapshot_pb2.ListWatchersRequest, context: Any
    ) -> snapshot_pb2.ListWatchersResponse:
        """Who watches, and what each of them runs."""
        return snapshot_pb2.ListWatchersResponse(
            current_digest=self._publisher.current.digest,
            watchers=[
                snapshot_pb2.WatcherStatus(
                    watcher=entry.watcher,
                    accepted_digest=entry.accepted,
                    refused_digest=entry.refused,
                    reason=entry.reason,
                    problems=entry.problems,
                )
                for entry in self._watching
            ],
        )

    async def _listen(self, watching: _Watching, requests: AsyncIterator[snapshot_pb2.WatchRequest]) -> None:
        async for request in requests:
            watching.accepted = request.accepted_digest
            watching.refused, watching.reason = request.refused_digest, request.reason
            watching.problems = tuple(request.problems)
            if request.refused_digest:
                _LOG.warning("%s refuses the snapshot: %s", watching.watcher.service, request.reason)
