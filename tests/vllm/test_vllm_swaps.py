"""Adapters that are swapped on a real vLLM while Sluice's own inference service, or a whole gateway, is asked."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import yaml

from sluice.common.v1 import common_pb2
from sluice.inference.v1 import inference_pb2, inference_pb2_grpc
from sluice_api import loading
from sluice_api.compiling import compile_objects
from sluice_api.snapshot import Snapshot
from sluice_gateway.service import build
from sluice_gateway.settings import GatewaySettings
from sluice_servicekit.grpc_server import serving
from sluice_servicekit.service import ServiceContext
from sluice_servicekit.snapshots import Snapshots
from support.light_services import servicers
from support.real_vllm import MODEL, START_SECONDS, RealVllm
from support.running import until

pytestmark = [pytest.mark.needs("vllm"), pytest.mark.timeout(START_SECONDS + 300)]

#: Who ask at once, each again as soon as it has its answer.
CALLERS = 6
#: Answers before the swap, and after it.
ANSWERS = 18

PASSAGE = common_pb2.Passage(
    document_id="a.md", chunk_id="a.md#0", title="Care", text="The press is oiled after 40 hours."
)


#: The token that ends an answer, see `make_model.py`.
END = 1


def _request(model: str, tokens: int = 8) -> inference_pb2.GenerateRequest:
    return inference_pb2.GenerateRequest(
        principal=common_pb2.Principal(tenant="acme"),
        model_server="vllm",
        model_name=model,
        messages=[inference_pb2.Message(role="user", content="How long?")],
        passages=[PASSAGE],
        sampling=inference_pb2.Sampling(temperature=0.0, max_tokens=tokens, logit_bias={END: -100.0}),
    )


@contextlib.asynccontextmanager
async def _stub(address: str) -> AsyncIterator[inference_pb2_grpc.InferenceServiceStub]:
    async with grpc.aio.insecure_channel(address) as channel:
        yield inference_pb2_grpc.InferenceServiceStub(channel)


async def _ask(stub: inference_pb2_grpc.InferenceServiceStub, model: str) -> tuple[str, str]:
    """The answer, and the name that it came from."""
    text = ""
    async for response in stub.Generate(_request(model), timeout=120):
        text += response.delta
        if response.HasField("finish"):
            return text, response.finish.model
    raise AssertionError("no finish")


async def _until_running(vllm: RealVllm, count: int) -> None:
    def holds() -> bool:
        return vllm.metric("num_requests_running") == count

    await asyncio.to_thread(until, holds, 60, f"the engine runs {count}")


class Load:
    """Callers who never stop asking; keeps what they got."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        self._ask = ask
        self.answers: list[Any] = []
        self._got = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """For the length of the block; what is asked at its end is answered still. A failure ends the test."""
        ending = asyncio.Event()

        async def call() -> None:
            while not ending.is_set():
                answer = await self._ask()
                async with self._got:
                    self.answers.append(answer)
                    self._got.notify_all()

        async with asyncio.TaskGroup() as callers:
            for _ in range(CALLERS):
                callers.create_task(call())
            yield
            ending.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Waits until the answers are such."""
        async with asyncio.timeout(240), self._got:
            await self._got.wait_for(holds)


async def test_adapter_is_swapped_under_load_and_no_request_fails(vllm: RealVllm, inference: str):
    names = ("swap-v1", "swap-v2")
    vllm.unload(*names)
    vllm.load("swap-v1", vllm.adapters / "a1")
    async with _stub(inference) as stub:
        alias = "swap-v1"
        load = Load(lambda: _ask(stub, alias))
        async with load.running():
            await load.until(lambda: len(load.answers) >= ANSWERS)
            await asyncio.to_thread(vllm.load, "swap-v2", vllm.adapters / "a2")
            swapped = len(load.answers)
            alias = "swap-v2"
            # As the operator drains: the old name goes once no answer is being written under it.
            await load.until(lambda: len(load.answers) >= swapped + CALLERS)
            await load.until(lambda: all(model == alias for _, model in load.answers[-CALLERS:]))
            await asyncio.to_thread(vllm.unload, "swap-v1")
            unloaded = len(load.answers)
            await load.until(lambda: len(load.answers) >= unloaded + ANSWERS)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await _ask(stub, "swap-v1")
    vllm.unload(*names)
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND
    told = {model: {text for text, by in load.answers if by == model} for model in names}
    assert [len(told[model]) for model in names] == [1, 1]  # whatever was swapped meanwhile
    assert told["swap-v1"] != told["swap-v2"]


async def test_caller_who_leaves_ends_the_work_of_the_engine(vllm: RealVllm, inference: str):
    async with _stub(inference) as stub:
        call = stub.Generate(_request(MODEL, tokens=600), timeout=120)
        await call.read()
        await _until_running(vllm, 1)
        call.cancel()
        await _until_running(vllm, 0)


def _snapshot(folder: Path, engine_name: str) -> Snapshot:
    """One pipeline, whose alias an experiment gives to an adapter that the operator has loaded under a name."""
    objects = [
        ("KnowledgeBase", "default", {}),
        ("GuardrailPolicy", "default", {}),
        ("ModelServer", "vllm", {"baseModel": MODEL, "external": {"urls": ["http://127.0.0.1:9/v1"]}}),
        (
            "LoRAAdapter",
            "support",
            {
                "modelServerRef": "vllm",
                "modelName": "support-adapter",
                "revision": engine_name,
                "source": {"local": {"path": f"/adapters/{engine_name}"}},
            },
        ),
        (
            "AdapterExperiment",
            "support",
            {
                "modelServerRef": "vllm",
                "modelName": "support",
                "arms": [
                    {"name": "base", "role": "Control", "weight": 0},
                    {"name": "adapter", "role": "Treatment", "weight": 100, "adapterRef": "support"},
                ],
            },
        ),
        (
            "Pipeline",
            "default",
            {
                "knowledgeBaseRef": "default",
                "guardrailPolicyRef": "default",
                "steps": {
                    "generate": {"modelServerRef": "vllm", "modelName": "support", "timeout": "120s"},
                },
            },
        ),
    ]
    written = [
        {"apiVersion": "sluice.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        for kind, name, spec in objects
    ]
    (adapter,) = (each for each in written if each["kind"] == "LoRAAdapter")
    adapter["status"] = {"engineName": engine_name}
    file = folder / "objects.yaml"
    file.write_text(yaml.safe_dump_all(written))
    return compile_objects(loading.load([file])).snapshot


@contextlib.asynccontextmanager
async def _gateway(folder: Path, snapshots: Snapshots, inference: str) -> AsyncIterator[httpx.AsyncClient]:
    """A real gateway before the inference service; the other services are light."""
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with serving(servicers()) as light:
        addresses = {f"{name}_address": light for name in ("guardrail", "retriever", "reranker")}
        settings = GatewaySettings(
            http_listen=f"fd:{listening.detach()}",
            data_dir=folder / "gateway",
            instance="swapped",
            inference_address=inference,
            **addresses,
        )
        async with (
            build(ServiceContext(settings, snapshots)),
            httpx.AsyncClient(base_url=url, timeout=120.0, verify=False) as http,
        ):
            yield http


async def test_alias_is_swapped_by_the_snapshot_under_load_and_no_run_fails(
    vllm: RealVllm, inference: str, tmp_path: Path
):
    names = ("support--v1", "support--v2")
    vllm.unload(*names)
    for name, folder in zip(names, ("a1", "a2"), strict=True):
        vllm.load(name, vllm.adapters / folder)
    snapshots = Snapshots.fixed(_snapshot(tmp_path, "support--v1"))

    async with _gateway(tmp_path, snapshots, inference) as http:

        async def ask() -> str:
            body = {
                "model": "default",
                "messages": [{"role": "user", "content": "How long?"}],
                "max_tokens": 8,
                "temperature": 0,
            }
            reply = await http.post("/v1/chat/completions", json=body)
            assert reply.status_code == 200, reply.text
            said = reply.json()["sluice"]
            assert said["state"] == "answered", said
            run = (await http.get(f"/v1/runs/{said['run_id']}")).raise_for_status().json()
            (step,) = (each for each in run["steps"] if each["name"] == "generate")
            return step["detail"]["model"]

        load = Load(ask)
        async with load.running():
            await load.until(lambda: len(load.answers) >= ANSWERS)
            assert set(load.answers) == {"support--v1"}
            swapped = _snapshot(tmp_path, "support--v2")
            assert await snapshots.take(swapped.digest, swapped.content) == ""
            taken = len(load.answers)
            await load.until(lambda: len(load.answers) >= taken + CALLERS + ANSWERS)
    vllm.unload(*names)
    # Who had been asked before the swap is answered by the old one, nobody after it.
    assert set(load.answers[taken + CALLERS :]) == {"support--v2"}
