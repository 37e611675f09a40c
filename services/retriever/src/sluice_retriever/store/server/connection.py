"""The connection to a Qdrant server: found out once, shared by all generations of a knowledge base."""

import asyncio
import math
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from qdrant_client import AsyncQdrantClient

from sluice_api.objects.knowledge_base import SelfHosted
from sluice_retriever.store.server.capabilities import Capabilities, parse_version, refuse_too_old
from sluice_retriever.store.server.failures import FAILURES, translate
from sluice_servicekit import deadlines, secrets
from sluice_servicekit.errors import DeadlineExceeded, Unavailable

T = TypeVar("T")

_PORT = 6333

#: Seconds that a call may take where no deadline is nearer.
_LONGEST = 60.0

#: Seconds to find out what a server is.
_CONNECTING = 10.0

_GRPC_OPTIONS = {
    # A restarted server must be found again soon, not after gRPC's 20 s default.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
    "grpc.enable_retries": 0,
}


class Connection:
    """A client of one server, with what the server can do.

    Args:
        client: Speaks gRPC.
        spec: Where the server is.
        capabilities: What it said of itself.
    """

    def __init__(self, client: AsyncQdrantClient, spec: SelfHosted, capabilities: Capabilities) -> None:
        self.client = client
        self.spec = spec
        self.address = _address(spec)
        self.capabilities = capabilities

    async def run(self, call: Awaitable[T]) -> T:
        """Awaits a call of the client for no longer than the deadline leaves.

        Raises:
            ServiceError: the call failed, or time ran out.
        """
        return await _run(call, self.spec)

    async def close(self) -> None:
        """Closes the connections."""
        await self.client.close()


async def connect(spec: SelfHosted, secrets_dir: Path | None) -> Connection:
    """Connects, and finds out what the server is.

    Raises:
        FailedPrecondition: the API key cannot be read or is not accepted, or the server is too old.
        Unavailable: the server cannot be reached.
    """
    key = secrets.read(secrets_dir, spec.api_key_secret, "deployment.selfHosted")
    client = AsyncQdrantClient(
        url=spec.url,
        grpc_port=spec.grpc_port,
        prefer_grpc=True,
        # As a header: the client warns of a key over plain HTTP, which is how clusters speak inside.
        headers={"api-key": key} if key else None,
        timeout=math.ceil(_LONGEST),
        grpc_options=dict(_GRPC_OPTIONS),
        # We ask ourselves, and refuse; the client would warn from a thread.
        check_compatibility=False,
    )
    try:
        with deadlines.limit(_CONNECTING):
            return Connection(client, spec, await _ask(client, spec))
    except BaseException:
        await client.close()
        raise


async def _ask(client: AsyncQdrantClient, spec: SelfHosted) -> Capabilities:
    try:
        version = parse_version((await _run(client.http.service_api.root(), spec)).version)
        refuse_too_old(version)
        status = await _run(client.cluster_status(), spec)
    except DeadlineExceeded as error:
        raise Unavailable(error.message, reason="QDRANT_UNREACHABLE", retry_after=1.0) from error
    return Capabilities(version, cluster=status.status == "enabled")


def seconds_left() -> int:
    """What a server is told of the deadline, in whole seconds, as it takes them; at least one."""
    return max(1, math.ceil(deadlines.cap(_LONGEST) or 0))


async def _run(call: Awaitable[T], spec: SelfHosted) -> T:
    address = _address(spec)
    try:
        # Around the call, since the client passes a time of its own to some of its calls.
        async with asyncio.timeout(deadlines.cap(_LONGEST)):
            return await call
    except TimeoutError as error:
        raise DeadlineExceeded(f"Qdrant at {address} did not answer in time") from error
    except FAILURES as error:
        raise translate(error, address, spec.api_key_secret) from error


def _address(spec: SelfHosted) -> str:
    """For people; without what else a URL may hold."""
    parts = urlsplit(spec.url)
    return f"{parts.hostname}:{parts.port or _PORT}"
