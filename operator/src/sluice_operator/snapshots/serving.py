"""The gRPC server that services watch."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from sluice.snapshot.v1 import snapshot_pb2_grpc
from sluice_operator.snapshots.distributor import Distributor
from sluice_servicekit.grpc_server import Servicer, bind_server

#: Of 10,000 objects and more; the watchers take as much.
_MAX_MESSAGE_BYTES = 64 << 20

#: A watcher whose machine is gone is known to be so within half a minute.
_OPTIONS = (("grpc.keepalive_time_ms", 20_000), ("grpc.keepalive_timeout_ms", 10_000))


@asynccontextmanager
async def serve_snapshots(
    distributor: Distributor, listen: str, synced: Callable[[], Awaitable[None]]
) -> AsyncIterator[int]:
    """Compiles and serves the snapshot for the length of the block; gives the port.

    Args:
        listen: `host:port`.
        synced: Returns once the mirror has been filled; watchers wait until then.

    Raises:
        FailedPrecondition: the address cannot be bound (`ADDRESS_IN_USE`).
    """
    servicer = Servicer(
        snapshot_pb2_grpc.add_SnapshotServiceServicer_to_server,
        distributor.servicer,
        "sluice.snapshot.v1.SnapshotService",
    )
    server = await bind_server([servicer], listen, max_message_bytes=_MAX_MESSAGE_BYTES, options=_OPTIONS)
    await server.start()
    work = asyncio.create_task(distributor.run(synced))
    try:
        yield server.port
    finally:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        await server.drain(0)  # watchers go on by what they have, and come back
