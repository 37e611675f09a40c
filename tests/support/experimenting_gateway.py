"""The gateway as it is assembled, over light services, in a thread: its snapshot changes, and its models may fail."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
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

    def __init__(
        self, url: str, models: Models, snapshots: Snapshots, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.url = url
        self.models = models
        self._snapshots = snapshots
        self._loop = loop

    async def take(self, snapshot: Snapshot) -> None:
        """Runs by this snapshot from now on."""
        taking = self._snapshots.take(snapshot.digest, snapshot.content)
        refused = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(taking, self._loop))
        assert not refused, refused

    async def ask(self, users: int, key: str = "", prefix: str = "user") -> Counter[str]:
        """So many users ask, each once. By model, how many of them it was to answer; the base model's name is empty."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        before = self.models.asked.copy()
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60.0) as http:
            turns = asyncio.Semaphore(8)

            async def one(number: int) -> None:
                messages = [{"role": "user", "content": "How long?"}]
                body = {"model": "default", "messages": messages, "user": f"{prefix}-{number}"}
                async with turns:
                    await http.post("/v1/chat/completions", json=body)

            await asyncio.gather(*map(one, range(users)))
        return self.models.asked - before


@contextmanager
def experimenting_gateway(
    folder: Path, snapshot: Snapshot, **settings: Any
) -> Iterator[ExperimentingGateway]:
    """For the length of the block, in a thread: kopf, where it runs, cancels whatever else its loop has going.

    Args:
        folder: For its database.
        settings: Of `GatewaySettings`.
    """
    models, snapshots = Models(), Snapshots.fixed(snapshot)
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()

    async def run() -> None:
        async with serving(_light(models)) as services:
            names = ("guardrail", "retriever", "reranker", "inference")
            told = GatewaySettings(
                http_listen=f"fd:{listening.detach()}",
                data_dir=folder,
                instance="experimenting",
                **{f"{name}_address": services for name in names},
                **settings,
            )
            async with build(ServiceContext(told, snapshots)):
                ready.set()
                await stop.wait()

    def work() -> None:
        try:
            loop.run_until_complete(run())
        finally:
            ready.set()
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    thread = threading.Thread(target=work, name="experimenting-gateway")
    thread.start()
    try:
        ready.wait(60)
        assert thread.is_alive(), "the gateway did not start"
        yield ExperimentingGateway(url, models, snapshots, loop)
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(stop.set)
        thread.join(60)


def _light(models: Models) -> list[Servicer]:
    own = Servicer(
        inference_pb2_grpc.add_InferenceServiceServicer_to_server,
        models,
        "sluice.inference.v1.InferenceService",
    )
    return [own if each.service == own.service else each for each in servicers()]
