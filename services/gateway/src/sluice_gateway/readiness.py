"""Whether all that the gateway needs answers."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sluice_servicekit.errors import ServiceError
from sluice_servicekit.snapshots import Snapshots

#: Seconds a service has to answer a health check.
_HEALTH_TIMEOUT = 1.0

#: Seconds that durable runs wait for services that start as the gateway does.
_READY_PATIENCE = 60.0


def readiness(
    snapshots: Snapshots, channels: Mapping[str, grpc.aio.Channel]
) -> Callable[[], Awaitable[list[str]]]:
    """Gives what names all that is not ready, with the reason."""
    stubs = {name: health_pb2_grpc.HealthStub(channel) for name, channel in channels.items()}

    async def check(name: str) -> str:
        try:
            reply = await stubs[name].Check(  # type: ignore[attr-defined]  # missing in its stubs
                health_pb2.HealthCheckRequest(), timeout=_HEALTH_TIMEOUT
            )
        except ServiceError as error:
            return f"{name}: {error.message}"
        serving = reply.status == health_pb2.HealthCheckResponse.SERVING
        return "" if serving else f"{name}: starting or draining"

    async def not_ready() -> list[str]:
        found = await asyncio.gather(*(check(name) for name in stubs))
        missing = [reason for reason in found if reason]
        if not snapshots.ready:
            missing.append("snapshot: none has arrived yet")
        return missing

    return not_ready


def until_ready(not_ready: Callable[[], Awaitable[list[str]]]) -> Callable[[], Awaitable[None]]:
    """Waits until the services answer, for a while: after that, a run that they do not answer fails at its step."""
    seen = False

    async def wait() -> None:
        nonlocal seen
        until = time.monotonic() + _READY_PATIENCE
        while not seen and time.monotonic() < until:
            seen = not await not_ready()
            if not seen:
                await asyncio.sleep(0.5)

    return wait
