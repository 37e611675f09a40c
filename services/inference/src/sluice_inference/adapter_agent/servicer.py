"""The adapter agent over gRPC. Converts only."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from sluice.adapters.v1 import adapters_pb2, adapters_pb2_grpc
from sluice_inference.adapter_agent import conversion
from sluice_inference.adapter_agent.agent import Agent
from sluice_inference.adapter_agent.callers import Callers
from sluice_inference.adapter_agent.store import Stored


class AdapterAgentServicer(adapters_pb2_grpc.AdapterAgentServiceServicer):
    """`sluice.adapters.v1.AdapterAgentService`."""

    def __init__(self, agent: Agent, callers: Callers) -> None:
        self._agent = agent
        self._callers = callers

    async def Resolve(
        self, request: adapters_pb2.ResolveRequest, context: Any
    ) -> AsyncIterator[adapters_pb2.ResolveResponse]:
        """Brings an adapter here."""
        self._callers.check(context)
        wanted = conversion.wanted(request)
        async with aclosing(self._agent.resolve(wanted, request.timeout)) as results:
            async for result in results:
                if isinstance(result, Stored):
                    adapter = conversion.adapter(result, self._agent.path(result))
                    yield adapters_pb2.ResolveResponse(adapter=adapter)
                else:
                    yield adapters_pb2.ResolveResponse(progress=conversion.progress(result))

    async def Load(self, request: adapters_pb2.LoadRequest, context: Any) -> adapters_pb2.LoadResponse:
        """Loads an adapter into vLLM."""
        self._callers.check(context)
        loaded = await self._agent.load(request.name, request.digest, request.config_digest)
        return adapters_pb2.LoadResponse(already_loaded=loaded.before, seconds=loaded.seconds)

    async def Unload(self, request: adapters_pb2.UnloadRequest, context: Any) -> adapters_pb2.UnloadResponse:
        """Unloads an adapter from vLLM."""
        self._callers.check(context)
        return adapters_pb2.UnloadResponse(was_loaded=await self._agent.unload(request.name))

    async def GetStatus(
        self, request: adapters_pb2.GetStatusRequest, context: Any
    ) -> adapters_pb2.GetStatusResponse:
        """What is here, what is loaded and what is on its way."""
        self._callers.check(context)
        return conversion.status(await self._agent.status(), self._agent)
