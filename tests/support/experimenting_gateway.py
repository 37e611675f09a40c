"""The gateway as it is assembled, over light services, in this loop: its snapshot changes, and its models may fail."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from sluice.inference.v1 import inference_pb2_grpc
from sluice_api.snapshot import Snapshot
from sluice_gateway.service import build
from sluice_gateway.settings import GatewaySettings
from sluice_servicekit.errors import FailedPrecondition
from sluice_servicekit.grpc_server import Servicer, serving
from sluice_servicekit.service import ServiceContext
from sluice_servicekit.snapshots import Snapshots
from support.light_services import LightInference, servicers


class Models(LightInference):
    """Answers, unless the model is broken."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.asked: Counter[str] = Counter()

    async def Generate(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.asked[request.model_name] += 1
        if request.model_name in self.broken:
            raise FailedPrecondition("the model has no weights", reason="MODEL_BROKEN")
        async for each in super().Generate(request, context):
            yield each


class ExperimentingGateway:
    """Where it is, and what it runs by."""

    def __init__(self, url: str, models: Models, snapshots: Snapshots) -> None:
        self.url = url
        self.models = models
        self._snapshots = snapshots

    async def take(self, snapshot: Snapshot) -> None:
        """Runs by this snapshot from now on."""
        refused = await self._snapshots.take(snapshot.digest, snapshot.content)
        assert not refused, refused

    async def ask(
        self, users: int, key: str = "", prefix: str = "user", pipeline: str = "default"
    ) -> Counter[str]:
        """So many users ask, each once. By arm, how many."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60.0) as http:
            turns = asyncio.Semaphore(8)

            async def one(number: int) -> str:
                body = {
                    "model": pipeline,
                    "messages": [{"role": "user", "content": "How long?"}],
                    "user": f"{prefix}-{number}",
                }
                async with turns:
                    reply = await http.post("/v1/chat/completions", json=body)
                return reply.headers.get("x-sluice-arm", "")

            return Counter(await asyncio.gather(*map(one, range(users))))


@asynccontextmanager
async def experimenting_gateway(
    folder: Path, snapshot: Snapshot, **settings: Any
) -> AsyncIterator[ExperimentingGateway]:
    """For the length of the block.

    Args:
        folder: For its database.
        settings: Of `GatewaySettings`.
    """
    models, snapshots = Models(), Snapshots.fixed(snapshot)
    own = Servicer(
        inference_pb2_grpc.add_InferenceServiceServicer_to_server,
        models,
        "sluice.inference.v1.InferenceService",
    )
    light = [own if "Inference" in each.service else each for each in servicers()]
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with serving(light) as services:
        addresses = {
            f"{name}_address": services for name in ("guardrail", "retriever", "reranker", "inference")
        }
        told = GatewaySettings(
            http_listen=f"fd:{listening.detach()}",
            data_dir=folder,
            instance="experimenting",
            **addresses,
            **settings,
        )
        async with build(ServiceContext(told, snapshots)):
            yield ExperimentingGateway(url, models, snapshots)
