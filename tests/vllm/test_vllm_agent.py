"""The adapter agent beside a real vLLM: what fits is loaded and answers, what does not is refused before that."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sluice.adapters.v1 import adapters_pb2 as pb
from sluice.adapters.v1.adapters_pb2_grpc import AdapterAgentServiceStub
from sluice_inference.adapter_agent.service import build
from sluice_inference.adapter_agent.settings import AdapterAgentSettings
from sluice_servicekit.channels import open_channel
from sluice_servicekit.errors import ServiceError
from sluice_servicekit.service import serve
from support.real_vllm import KEY, MODEL, START_SECONDS, RealVllm

pytestmark = [pytest.mark.needs("vllm"), pytest.mark.timeout(START_SECONDS + 300)]

#: What `make test-vllm` makes.
BASE = Path(__file__).parents[2] / ".cache" / "vllm" / "model" / "tiny"

NAME = "agent--1"


@pytest.fixture
async def agent(vllm: RealVllm, tmp_path: Path) -> AsyncIterator[Any]:
    """Calls an agent."""
    (tmp_path / "key").write_text(KEY)
    settings = AdapterAgentSettings(
        adapters_dir=tmp_path / "adapters",
        engine_url=vllm.url,
        engine_api_key_file=tmp_path / "key",
        base_models=MODEL,
        base_model_dir=BASE,
        max_lora_rank=8,
        local_roots=str(vllm.adapters),
    )
    async with (
        serve("adapter-agent", settings, build) as server,
        open_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        yield AdapterAgentServiceStub(channel)
    vllm.unload(NAME)


async def resolved(agent: Any, folder: Path) -> pb.Adapter:
    source = pb.Source(local=pb.LocalSource(path=str(folder)))
    results = [
        each async for each in agent.Resolve(pb.ResolveRequest(source=source, strict=True), timeout=60)
    ]
    return results[-1].adapter


async def said(vllm: RealVllm, model: str) -> httpx.Response:
    body = {"model": model, "prompt": "the quick", "max_tokens": 8, "temperature": 0}
    async with httpx.AsyncClient(base_url=vllm.url, timeout=120.0, verify=False) as http:
        return await http.post("/v1/completions", json=body, headers={"authorization": f"Bearer {KEY}"})


async def test_what_fits_is_loaded_answers_in_its_own_words_and_leaves(vllm: RealVllm, agent: Any) -> None:
    adapter = await resolved(agent, vllm.adapters / "a1")
    load = pb.LoadRequest(name=NAME, digest=adapter.digest, config_digest=adapter.config_digest)
    first, second = await agent.Load(load, timeout=120), await agent.Load(load, timeout=120)
    assert (first.already_loaded, second.already_loaded) == (False, True)

    own, base = await said(vllm, NAME), await said(vllm, MODEL)
    assert own.json()["choices"][0]["text"] != base.json()["choices"][0]["text"]
    status = await agent.GetStatus(pb.GetStatusRequest(), timeout=60)
    assert list(status.engine.models) == [MODEL]
    assert adapter.digest in {each.digest for each in status.loaded}

    assert (await agent.Unload(pb.UnloadRequest(name=NAME), timeout=60)).was_loaded
    assert not (await agent.Unload(pb.UnloadRequest(name=NAME), timeout=60)).was_loaded
    assert (await said(vllm, NAME)).status_code == 404


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        ("shape", "SHAPE_MISMATCH"),
        ("rank64", "RANK_TOO_HIGH"),
        ("noconfig", "SOURCE_NOT_FOUND"),
        ("corrupt", "NOT_SAFETENSORS"),
    ],
)
async def test_what_does_not_fit_is_refused(vllm: RealVllm, agent: Any, folder: str, reason: str) -> None:
    with pytest.raises(ServiceError) as caught:
        await resolved(agent, vllm.adapters / "bad" / folder)
    assert caught.value.reason == reason
