"""A gRPC server with health, reflection, limits and the call interceptor; started, drained, stopped."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from sluice_servicekit.errors import FailedPrecondition
from sluice_servicekit.limits import MAX_MESSAGE_BYTES
from sluice_servicekit.server_interceptor import CallInterceptor

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True)
class Servicer:
    """One service of a server."""

    register: Callable[[Any, grpc.aio.Server], None]
    """The generated `add_…Servicer_to_server`."""
    implementation: object
    service: str
    """The full proto name, for health and reflection."""


class GrpcServer:
    """A server that holds its port; calls wait there until it is started."""

    def __init__(
        self,
        server: grpc.aio.Server,
        health_servicer: health.aio.HealthServicer,
        services: Sequence[str],
        port: int,
    ) -> None:
        self._server = server
        self._health = health_servicer
        self._services = ("", *services)
        self.port = port

    async def set_serving(self, *, serving: bool) -> None:
        """Tells health checkers whether to send calls here."""
        for service in self._services:
            await self._health.set(service, SERVING if serving else NOT_SERVING)

    async def start(self) -> None:
        """Answers calls and tells health checkers so."""
        await self._server.start()
        await self.set_serving(serving=True)

    async def drain(self, seconds: float) -> None:
        """Refuses new calls and waits for those in flight, `seconds` at most."""
        await self.set_serving(serving=False)
        await self._server.stop(seconds)


async def bind_server(
    servicers: Sequence[Servicer],
    listen: str,
    *,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
    options: Sequence[tuple[str, int]] = (),
) -> GrpcServer:
    """A server that listens on `listen` and is yet to be started.

    Args:
        options: More of gRPC's channel arguments.

    Raises:
        FailedPrecondition: the address cannot be bound (`ADDRESS_IN_USE`).
    """
    server = grpc.aio.server(
        interceptors=[CallInterceptor()],
        options=(
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.max_send_message_length", max_message_bytes),
            # Two processes on one port would share its calls silently.
            ("grpc.so_reuseport", 0),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            *options,
        ),
    )
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    names = [servicer.service for servicer in servicers]
    for servicer in servicers:
        servicer.register(servicer.implementation, server)
    reflection.enable_server_reflection((*names, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    try:
        port = server.add_insecure_port(listen)
    except RuntimeError as error:
        raise FailedPrecondition(
            f"cannot listen on {listen}: the port is taken or the address is not ours; choose another",
            reason="ADDRESS_IN_USE",
        ) from error
    bound = GrpcServer(server, health_servicer, names, port)
    await bound.set_serving(serving=False)
    return bound


@asynccontextmanager
async def serving(servicers: Sequence[Servicer], listen: str = "127.0.0.1:0") -> AsyncIterator[str]:
    """A server for the length of the block; gives its `host:port`."""
    server = await bind_server(servicers, listen)
    await server.start()
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        await server.drain(0)
