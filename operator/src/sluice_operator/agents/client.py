"""Calls to one pod's agent."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final, TypeVar, cast

from sluice.adapters.v1 import adapters_pb2 as pb
from sluice.adapters.v1.adapters_pb2_grpc import AdapterAgentServiceStub
from sluice_operator.agents import messages
from sluice_operator.agents.protocol import Load, Resolve, Unload
from sluice_operator.agents.tokens import Tokens
from sluice_operator.agents.views import Resolved
from sluice_servicekit.channels import open_channel
from sluice_servicekit.errors import Internal, Unauthenticated

_STATUS: Final = "/sluice.adapters.v1.AdapterAgentService/GetStatus"
#: Fetching may have to wait for others' fetching; its own limit, which the agent keeps, begins after that.
_WAITING: Final = 2
_SLACK_SECONDS: Final = 30.0

T = TypeVar("T")
Metadata = list[tuple[str, str]]


class AgentClient:
    """One agent. Every call may raise `ServiceError`: the agent's own, or the connection's.

    Args:
        address: `host:port`.
        tokens: Gives the token; it is read again when the agent refuses it.
        namespace: Of the pod.
        model_server: Whose replica the pod is.
    """

    def __init__(self, address: str, tokens: Tokens, namespace: str, model_server: str) -> None:
        self._channel = open_channel(address)
        self._stub: Any = AdapterAgentServiceStub(self._channel)
        # as bytes: most statuses are those of the last time, and need not be read
        self._get_status = self._channel.unary_unary(
            _STATUS, request_serializer=pb.GetStatusRequest.SerializeToString, response_deserializer=bytes
        )
        self._tokens = tokens
        self._whose = namespace, model_server

    async def close(self) -> None:
        """Ends all calls."""
        await self._channel.close()

    async def status(self, seconds: float) -> bytes:
        """A `GetStatusResponse`."""

        async def ask(metadata: Metadata) -> bytes:
            got = await cast(Any, self._get_status)(pb.GetStatusRequest(), timeout=seconds, metadata=metadata)
            return cast(bytes, got)

        return await self._authorized(ask)

    async def resolve(self, call: Resolve, heard: Callable[[pb.Progress], None]) -> Resolved:
        """Brings files to the pod; `heard` is told how far they are."""
        request = messages.resolve_request(call)

        async def ask(metadata: Metadata) -> Resolved:
            seconds = _WAITING * call.seconds + _SLACK_SECONDS
            stream: AsyncGenerator[pb.ResolveResponse, None] = self._stub.Resolve(
                request, timeout=seconds, metadata=metadata
            )
            async with aclosing(stream) as responses:
                async for response in responses:
                    if response.WhichOneof("result") == "adapter":
                        return messages.resolved(response.adapter)
                    heard(response.progress)
            raise Internal("the adapter agent ended its answer without an adapter")

        return await self._authorized(ask)

    async def load(self, call: Load) -> None:
        """Has the engine load an adapter."""
        request = messages.load_request(call)
        await self._authorized(
            lambda metadata: self._stub.Load(request, timeout=call.seconds, metadata=metadata)
        )

    async def unload(self, call: Unload) -> None:
        """Has the engine forget a name."""
        request = messages.unload_request(call)
        await self._authorized(
            lambda metadata: self._stub.Unload(request, timeout=call.seconds, metadata=metadata)
        )

    async def _authorized(self, ask: Callable[[Metadata], Awaitable[T]]) -> T:
        token = await self._tokens.of(*self._whose)
        try:
            return await ask(_metadata(token))
        except Unauthenticated:
            renewed = await self._tokens.renewed(*self._whose, token)
            if renewed == token:
                raise
        return await ask(_metadata(renewed))


def _metadata(token: str) -> Metadata:
    return [("authorization", f"Bearer {token}")] if token else []
