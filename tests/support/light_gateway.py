"""The gateway as it is assembled, over light services, in a thread of this process."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from sluice_api.objects.guardrail_policy import GuardrailPolicySpec, StreamingMode
from sluice_api.objects.knowledge_base import KnowledgeBaseSpec
from sluice_api.objects.lora_adapter import Selectors
from sluice_api.objects.model_server import Extractive, ModelServerSpec
from sluice_api.objects.pipeline import PipelineSpec
from sluice_api.objects.steps import GenerateStep, Steps
from sluice_api.snapshot import CompiledAdapter, CompiledPipeline, CompiledPolicy, Snapshot
from sluice_gateway.domain.adapting.naming import pipeline_and_adapter
from sluice_gateway.service import build
from sluice_gateway.settings import GatewaySettings
from sluice_servicekit.grpc_server import bind_server, serving
from sluice_servicekit.service import ServiceContext
from sluice_servicekit.snapshots import Snapshots
from support.light_services import servicers


@dataclass(frozen=True)
class LightGateway:
    """Where it is."""

    url: str
    grpc_address: str

    def http(self, **headers: str) -> httpx.Client:
        """A plain client."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.Client(base_url=self.url, headers=named, timeout=30.0, verify=False)


def snapshot(*names: str) -> Snapshot:
    """Pipelines of these names, over one knowledge base and one policy; a name with a slash is one of an adapter."""
    split = [pipeline_and_adapter(name) for name in names or ("default",)]
    spec = PipelineSpec(
        knowledge_base_ref="default",
        guardrail_policy_ref="default",
        steps=Steps(generate=GenerateStep(model_server_ref="extractive")),
    )
    policy = GuardrailPolicySpec(streaming=StreamingMode.WINDOW)
    return Snapshot(
        pipelines={name: CompiledPipeline(version="1", spec=spec) for name, _ in split},
        guardrail_policies={"default": CompiledPolicy(version="1", spec=policy)},
        knowledge_bases={"default": KnowledgeBaseSpec()},
        model_servers={"extractive": ModelServerSpec(extractive=Extractive())},
        adapters={
            alias: CompiledAdapter(
                model_server="extractive",
                model_name=alias,
                engine_name=alias,
                revision="r1",
                selectors=Selectors(),
            )
            for _, alias in split
            if alias
        },
    )


@contextlib.contextmanager
def light_gateway(folder: Path, *pipelines: str, **settings: Any) -> Iterator[LightGateway]:
    """The gateway for the length of the block; `settings` are its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    loop = asyncio.new_event_loop()
    started: list[str] = []
    ready, stop = threading.Event(), asyncio.Event()

    async def run() -> None:
        async with serving(servicers()) as services:
            addresses = {
                f"{name}_address": services for name in ("guardrail", "retriever", "reranker", "inference")
            }
            told = GatewaySettings(
                http_listen=f"fd:{listening.detach()}",
                data_dir=folder,
                instance="light",
                **addresses,
                **settings,
            )
            context = ServiceContext(told, Snapshots.fixed(snapshot(*pipelines)))
            async with build(context) as own:
                server = await bind_server(own, "127.0.0.1:0")
                await server.start()
                started.append(f"127.0.0.1:{server.port}")
                ready.set()
                await stop.wait()
                await server.drain(0)

    def work() -> None:
        try:
            loop.run_until_complete(run())
        finally:
            ready.set()
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    thread = threading.Thread(target=work, name="light-gateway")
    thread.start()
    try:
        ready.wait(30)
        assert started, "the gateway did not start"
        yield LightGateway(f"http://127.0.0.1:{port}", started[0])
    finally:
        if started:
            loop.call_soon_threadsafe(stop.set)
        thread.join(30)
