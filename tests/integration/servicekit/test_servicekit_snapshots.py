"""A service takes over good snapshots, refuses bad ones and keeps the last good one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from sluice.snapshot.v1 import snapshot_pb2, snapshot_pb2_grpc
from sluice_api.objects.knowledge_base import KnowledgeBaseSpec
from sluice_api.snapshot import Snapshot
from sluice_servicekit.errors import FailedPrecondition
from sluice_servicekit.grpc_server import Servicer, serving
from sluice_servicekit.snapshots import Snapshots, watch

ONE = Snapshot(knowledge_bases={"one": KnowledgeBaseSpec()})
TWO = Snapshot(knowledge_bases={"two": KnowledgeBaseSpec()})


class Server(snapshot_pb2_grpc.SnapshotServiceServicer):
    """Sends what the test puts into `outgoing`, notes every word of the watcher."""

    def __init__(self) -> None:
        self.outgoing: asyncio.Queue[snapshot_pb2.WatchResponse] = asyncio.Queue()
        self.heard: asyncio.Queue[snapshot_pb2.WatchRequest] = asyncio.Queue()

    async def Watch(self, request_iterator: Any, context: Any) -> AsyncIterator[snapshot_pb2.WatchResponse]:
        async def listen() -> None:
            async for request in request_iterator:
                await self.heard.put(request)

        listening = asyncio.create_task(listen())
        try:
            while True:
                yield await self.outgoing.get()
        finally:
            listening.cancel()

    async def send(self, snapshot: Snapshot) -> snapshot_pb2.WatchRequest:
        await self.outgoing.put(snapshot_pb2.WatchResponse(digest=snapshot.digest, content=snapshot.content))
        return await asyncio.wait_for(self.heard.get(), 5)


def servicer(server: Server) -> Servicer:
    return Servicer(
        snapshot_pb2_grpc.add_SnapshotServiceServicer_to_server, server, "sluice.snapshot.v1.SnapshotService"
    )


async def test_each_snapshot_is_acknowledged_or_refused(tmp_path: Path) -> None:
    server = Server()
    snapshots = Snapshots(tmp_path / "snapshot.json")

    async def only_one(snapshot: Snapshot) -> None:
        if "one" not in snapshot.knowledge_bases:
            raise FailedPrecondition("knowledge base one would vanish")

    snapshots.on_change(only_one)
    async with serving([servicer(server)]) as address:
        watching = asyncio.create_task(watch(snapshots, address, snapshot_pb2.Watcher(service="test")))
        hello = await asyncio.wait_for(server.heard.get(), 5)
        first = await server.send(ONE)
        second = await server.send(TWO)
        watching.cancel()

    assert hello.watcher.service == "test"
    assert hello.accepted_digest == ""
    assert first.accepted_digest == ONE.digest
    assert second.accepted_digest == ONE.digest
    assert second.refused_digest == TWO.digest
    assert second.reason == "knowledge base one would vanish"
    assert snapshots.current == ONE


async def test_content_that_does_not_match_its_digest_is_refused() -> None:
    snapshots = Snapshots()

    reason = await snapshots.take(TWO.digest, ONE.content)

    assert "digest" in reason
    assert not snapshots.ready


async def test_the_last_good_snapshot_outlives_the_process(tmp_path: Path) -> None:
    kept = tmp_path / "snapshot.json"
    await Snapshots(kept).take(ONE.digest, ONE.content)

    later = Snapshots(kept)
    await later.load_last_good()

    assert later.current == ONE


async def test_a_kept_snapshot_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    kept = tmp_path / "snapshot.json"
    kept.write_text("{")

    later = Snapshots(kept)
    await later.load_last_good()

    assert not later.ready


async def test_the_watcher_comes_back_when_the_server_does() -> None:
    snapshots = Snapshots()
    server = Server()
    async with serving([servicer(server)]) as address:
        watching = asyncio.create_task(watch(snapshots, address, snapshot_pb2.Watcher(service="test")))
        await asyncio.wait_for(server.heard.get(), 5)
    again = Server()
    async with serving([servicer(again)], address):
        await asyncio.wait_for(again.heard.get(), 5)
        word = await again.send(ONE)
        watching.cancel()

    assert word.accepted_digest == ONE.digest
