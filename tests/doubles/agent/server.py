"""The double on a port: the service, who may call it, and its life."""

import asyncio
import hmac
from collections import Counter
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

from doubles.agent.catalogue import Catalogue
from doubles.agent.engine import Engine
from doubles.agent.state import Faults, Settings, State
from sluice.adapters.v1 import adapters_pb2 as pb
from sluice.adapters.v1 import adapters_pb2_grpc
from sluice_inference.adapter_agent import conversion
from sluice_servicekit.errors import FailedPrecondition, Unauthenticated
from sluice_servicekit.grpc_server import GrpcServer, Servicer, bind_server

_SERVICE = "sluice.adapters.v1.AdapterAgentService"
_BIND_SECONDS = 10.0


class AgentDouble(adapters_pb2_grpc.AdapterAgentServiceServicer):
    """One agent and its engine; `async with AgentDouble(...) as agent` serves them.

    Args:
        settings: Its options and its pace.
        catalogue: What lies at the sources; may be shared.
        host: The address to listen on, such as any of 127.0.0.0/8.
        port: 0 takes a free one, which it keeps when it comes back.
    """

    def __init__(
        self,
        settings: Settings = Settings(),  # noqa: B008 - frozen
        catalogue: Catalogue | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.token = settings.token
        self.host = host
        self.port = port
        self.faults = Faults()
        self.state = State(settings, catalogue or Catalogue(), self.faults)
        self._server: GrpcServer | None = None

    @property
    def engine(self) -> Engine:
        """The vLLM beside it."""
        return self.state.engine

    @property
    def loaded(self) -> set[str]:
        """The names that its engine lists."""
        return set(self.engine.loaded)

    @property
    def calls(self) -> Counter[str]:
        """How often each method was called, refused callers not counted; and by `Heard` all calls."""
        return self.state.calls

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        self.state.close()

    async def start(self) -> None:
        """Serves."""
        servicer = Servicer(adapters_pb2_grpc.add_AdapterAgentServiceServicer_to_server, self, _SERVICE)
        async with asyncio.timeout(_BIND_SECONDS):
            while True:
                try:
                    server = await bind_server([servicer], self.address)
                    break
                except FailedPrecondition:  # gRPC lets go of a port a little later than it says
                    await asyncio.sleep(0.05)
        await server.start()
        self._server, self.port = server, server.port

    async def stop(self) -> None:
        """Cuts every call and is gone: connections are refused."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.drain(0)

    def restart_engine(self) -> None:
        """The engine's container comes back with nothing loaded; the agent and its files stay."""
        self.engine.restart()

    async def Resolve(self, request: pb.ResolveRequest, context: Any) -> AsyncIterator[pb.ResolveResponse]:
        """Brings an adapter here."""
        await self._hear("Resolve", context)
        async for response in self.state.resolve(conversion.wanted(request), request.timeout):
            yield response

    async def Load(self, request: pb.LoadRequest, context: Any) -> pb.LoadResponse:
        """Loads an adapter."""
        await self._hear("Load", context)
        return await self.state.load(request)

    async def Unload(self, request: pb.UnloadRequest, context: Any) -> pb.UnloadResponse:
        """Unloads an adapter."""
        await self._hear("Unload", context)
        return await self.state.unload(request.name)

    async def GetStatus(self, request: pb.GetStatusRequest, context: Any) -> pb.GetStatusResponse:
        """All there is."""
        await self._hear("GetStatus", context)
        status = self.state.status()
        await asyncio.sleep(self.faults.slow_status)
        return status

    async def _hear(self, method: str, context: Any) -> None:
        self.state.calls["Heard"] += 1
        if self.faults.silent:
            await asyncio.Event().wait()
        sent = dict(context.invocation_metadata() or ()).get("authorization", "")
        scheme, _, given = sent.partition(" ")
        if self.token and (
            scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), self.token.encode())
        ):
            raise Unauthenticated("the call has no token of this agent; send `authorization: Bearer <token>`")
        self.state.calls[method] += 1
