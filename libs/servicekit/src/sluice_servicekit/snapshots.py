"""The snapshot a service runs by: watched, checked, taken over or refused, and kept for the next start."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sluice.snapshot.v1 import snapshot_pb2, snapshot_pb2_grpc
from sluice_api.snapshot import Snapshot
from sluice_servicekit import metrics
from sluice_servicekit.channels import open_channel
from sluice_servicekit.errors import ServiceError

_LOG = logging.getLogger(__name__)

OnChange = Callable[[Snapshot], Awaitable[None]]

#: Seconds between two attempts to reach the snapshot server.
_RECONNECT_SECONDS = 0.5


class Snapshots:
    """Holds the current snapshot. Listeners see each new one first and may refuse it."""

    def __init__(self, last_good: Path | None = None) -> None:
        self._current = Snapshot()
        self._arrived = asyncio.Event()
        self._listeners: list[OnChange] = []
        self._problems: tuple[str, ...] = ()
        self._hearers: list[Callable[[], None]] = []
        self._last_good = last_good

    @classmethod
    def fixed(cls, snapshot: Snapshot) -> "Snapshots":
        """A holder that never changes, for tests and tools."""
        snapshots = cls()
        snapshots._current = snapshot
        snapshots._arrived.set()
        return snapshots

    @property
    def current(self) -> Snapshot:
        """The snapshot in force; an empty one before the first has arrived."""
        return self._current

    @property
    def ready(self) -> bool:
        """True once a snapshot is in force."""
        return self._arrived.is_set()

    async def wait_ready(self) -> None:
        """Returns once a snapshot is in force; the caller bounds the wait."""
        await self._arrived.wait()

    def on_change(self, listener: OnChange) -> None:
        """Calls `listener` with every new snapshot before it is in force.

        A listener refuses by raising `ServiceError` or `ValueError`; the snapshot in force then stays.
        """
        self._listeners.append(listener)

    @property
    def problems(self) -> tuple[str, ...]:
        """What of the snapshot in force is not in force itself, and why; one sentence for each object."""
        return self._problems

    def report(self, problems: Iterable[str]) -> None:
        """Says what of the snapshot could not be taken over, so that `sluice status` can tell."""
        self._problems = tuple(problems)
        for hear in self._hearers:
            hear()

    @contextmanager
    def hearing(self, hear: Callable[[], None]) -> Iterator[None]:
        """Calls `hear` at every report, for the length of the block."""
        self._hearers.append(hear)
        try:
            yield
        finally:
            self._hearers.remove(hear)

    async def take(self, digest: str, content: bytes) -> str:
        """Checks a snapshot and puts it in force. Gives the reason for refusing it, or an empty string."""
        if self.ready and digest == self._current.digest:
            return ""
        try:
            snapshot = Snapshot.parse(content, digest)
            for listener in self._listeners:
                await listener(snapshot)
        except (ServiceError, ValueError) as error:
            metrics.SNAPSHOT_CHANGES.labels("refused").inc()
            _LOG.warning("snapshot %s refused: %s", digest, error)
            return str(error)
        self._current = snapshot
        self._arrived.set()
        metrics.SNAPSHOT_CHANGES.labels("accepted").inc()
        _LOG.info("snapshot %s in force", digest)
        await asyncio.to_thread(self._keep, content)
        return ""

    async def load_last_good(self) -> None:
        """Starts from the copy kept by an earlier process, so that a restart needs no snapshot server."""
        if self._last_good is None or not self._last_good.exists():
            return
        content = await asyncio.to_thread(self._last_good.read_bytes)
        try:
            digest = Snapshot.model_validate_json(content).digest
        except ValueError as error:  # written by another version; the server will send a new one
            _LOG.warning("kept snapshot cannot be read: %s", error)
            return
        await self.take(digest, content)

    def _keep(self, content: bytes) -> None:
        if self._last_good is None:
            return
        self._last_good.parent.mkdir(parents=True, exist_ok=True)
        partial = self._last_good.with_suffix(".partial")
        partial.write_bytes(content)
        partial.replace(self._last_good)


async def watch(snapshots: Snapshots, address: str, watcher: snapshot_pb2.Watcher) -> None:
    """Follows the snapshot server for ever; a lost connection is made again."""
    while True:
        async with open_channel(address, peer="snapshot server", max_message_bytes=64 << 20) as channel:
            try:
                await _follow(snapshots, snapshot_pb2_grpc.SnapshotServiceStub(channel), watcher)
            except ServiceError as error:
                _LOG.info("snapshot server not reachable: %s", error.message)
        await asyncio.sleep(_RECONNECT_SECONDS)


async def _follow(
    snapshots: Snapshots,
    stub: "snapshot_pb2_grpc.SnapshotServiceAsyncStub",
    watcher: snapshot_pb2.Watcher,
) -> None:
    replies: asyncio.Queue[snapshot_pb2.WatchRequest] = asyncio.Queue()
    refused = reason = ""

    def reply(of: snapshot_pb2.Watcher | None = None) -> None:
        accepted = snapshots.current.digest if snapshots.ready else ""
        replies.put_nowait(
            snapshot_pb2.WatchRequest(
                watcher=of,
                accepted_digest=accepted,
                refused_digest=refused,
                reason=reason,
                problems=snapshots.problems,
            )
        )

    async def requests() -> AsyncIterator[snapshot_pb2.WatchRequest]:
        while True:
            yield await replies.get()

    reply(watcher)
    with snapshots.hearing(reply):
        async for response in stub.Watch(requests()):
            reason = await snapshots.take(response.digest, response.content)
            refused = response.digest if reason else ""
            reply()
