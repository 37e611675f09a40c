"""A double of a Qdrant server: gRPC and REST in this process, over qdrant-client's local mode, one local collection for
each shard key. It answers as the recorded 1.18.3 did.

It searches exactly, whatever the quantization and the graph are; it moves no points between shards, so a test sets the
state of a shard key itself.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
from aiohttp import web
from qdrant_client import models
from qdrant_client.grpc import collections_service_pb2_grpc, points_service_pb2_grpc, qdrant_pb2_grpc

from sluice_api.objects.knowledge_base import SelfHosted
from support.qdrant_server import grpc_api, rest_api
from support.qdrant_server.failures import DOWN, LIMITED, UNAUTHORISED, QdrantError
from support.qdrant_server.state import State


@dataclass
class QdrantServer:
    """What it is, and what goes wrong with it."""

    version: str = "1.18.3"
    cluster: bool = True
    api_key: str = ""
    unavailable: bool = False
    """Every request is refused as by a server that starts."""
    slow: float = 0.0
    """Seconds before it answers."""
    limited: int = 0
    """Refuses with 429; to be tried again after so many seconds."""
    cut_after: int | None = None
    """Dies so many operations into a batch; those before are applied."""
    meanwhile: Callable[[], Awaitable[None]] | None = None
    """Done once, before the next batch is."""
    url: str = ""
    grpc_port: int = 0
    requests: int = 0
    state: State = field(default_factory=State)

    @property
    def self_hosted(self) -> SelfHosted:
        """Where it is, as a knowledge base says it."""
        return SelfHosted(url=self.url, grpc_port=self.grpc_port)

    def set_state(self, collection: str, key: str, state: models.ReplicaState) -> None:
        """Has a shard key in a state; makes it where there is none."""
        shards = self.state.collection(collection)
        if key not in shards.shards:
            shards.add_shard(key, state)
        shards.shards[key].state = state

    async def before(self, headers: dict[str, str]) -> None:
        self.requests += 1
        await asyncio.sleep(self.slow)
        if self.api_key and headers.get("api-key") != self.api_key:
            given = headers.get("api-key")
            raise QdrantError(
                UNAUTHORISED,
                "Invalid API key or JWT"
                if given
                else "Must provide an API key or an Authorization bearer token",
            )
        if self.unavailable:
            raise QdrantError(DOWN, "server is starting")
        if self.limited:
            text = "Rate limiting exceeded: Read rate limit exceeded, retry later"
            raise QdrantError(LIMITED, text, self.limited)

    async def before_operation(self, number: int) -> None:
        if number == 0 and self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        await asyncio.sleep(0)  # other requests' operations come between, as on a server
        if self.cut_after is None:
            return
        if self.cut_after == 0:
            raise QdrantError(DOWN, "connection reset by peer")
        self.cut_after -= 1


@asynccontextmanager
async def serving(server: QdrantServer) -> AsyncIterator[QdrantServer]:
    """Serves on loopback for the length of the block; sets `url` and `grpc_port`."""
    server.state.version, server.state.cluster = server.version, server.cluster
    points = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    qdrant_pb2_grpc.add_QdrantServicer_to_server(grpc_api.Root(server.state, server.before), points)
    collections_service_pb2_grpc.add_CollectionsServicer_to_server(
        grpc_api.Collections(server.state, server.before), points
    )
    points_service_pb2_grpc.add_PointsServicer_to_server(
        grpc_api.Points(server.state, server.before, server.before_operation), points
    )
    server.grpc_port = points.add_insecure_port("127.0.0.1:0")
    # A caller who leaves cancels the handler, so that nothing is waited for at the end.
    runner = web.AppRunner(rest_api.application(server.state, server.before), handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    await points.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await points.stop(None)
        await runner.cleanup()
        for name in list(server.state.collections):
            server.state.drop(name)
