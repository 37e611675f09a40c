"""The double of vLLM against what a real 0.32.0 was recorded to answer."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx

from doubles.vllm import Asked, Call, Settings, Vllm, Written
from support import adapter_files, vllm_recordings
from support.vllm_recordings import Case

#: What routing to a server reads.
ROUTED_BY = (
    *(
        "num_requests_running",
        "num_requests_waiting",
        "num_requests_waiting_by_reason",
        "kv_cache_usage_perc",
    ),
    *("prefix_cache_queries_total", "prefix_cache_hits_total", "lora_requests_info", "cache_config_info"),
)


async def _differing(
    server: Vllm, recording: str, adapters: Path, asked: Callable[[Case], bool] = lambda case: True
) -> list[object]:
    """What it answers differently, case by case."""
    writes = server.write

    headers = {"authorization": f"Bearer {server.settings.api_key or 'none'}"}

    def work() -> list[object]:
        differing: list[object] = []
        with httpx.Client(base_url=server.url, verify=False, headers=headers) as client:
            for case in vllm_recordings.recorded(recording):
                if case.path == "/metrics" or not asked(case):
                    continue
                now = _WRITTEN.get(case.name)
                server.write = writes if now is None else partial(_always, now)
                got = vllm_recordings.ask(client, case, adapters)
                if found := vllm_recordings.difference(case.answer, got):
                    differing.append((case.name, *found))
        return differing

    return await asyncio.to_thread(work)


async def test_adapters_are_loaded_and_refused_as_by_the_real_server(tmp_path: Path):
    adapters = adapter_files.write_all(tmp_path / "adapters")
    async with Vllm() as server:
        for name in ("a1", "a2"):
            await server.load(name, str(adapters / name))
        assert await _differing(server, "lora", adapters) == []


async def test_other_calls_are_answered_as_by_the_real_server(tmp_path: Path):
    adapters = adapter_files.write_all(tmp_path / "adapters")
    async with Vllm(Settings(api_key="secret")) as server:
        assert await _differing(server, "serving", adapters) == []


async def test_metrics_have_the_real_names_and_labels():
    async with Vllm() as server, httpx.AsyncClient(base_url=server.url, verify=False) as client:
        await client.post("/v1/completions", json={"prompt": "a"})
        reply = await client.get("/metrics")
    told = vllm_recordings.families(reply.text)
    for recording in ("lora", "serving"):
        (case,) = (each for each in vllm_recordings.recorded(recording) if each.path == "/metrics")
        assert reply.headers["content-type"] == case.answer.content_type
        real = vllm_recordings.families(case.answer.body)
        assert {name: labels for name, labels in told.items() if not labels <= real.get(name, labels)} == {}
    assert told.keys() <= real.keys()
    assert told.keys() >= {f"vllm:{name}" for name in ROUTED_BY}


#: What the recorded model wrote, where how it is told depends on it.
_WRITTEN = {
    "chat stream: tools, required": Written(
        ((),), "length", calls=(Call("get_weather", ('{"city": ', '"Lisbon"}')),)
    ),
    "chat stream: json object": Written((("{", "}"),)),
}


def _always(written: Written, asked: Asked) -> Written:
    return written


_REASONED = Written(((),), "length", reasoning=(" that", " that"))


async def test_conversations_are_streamed_and_refused_as_by_the_real_server(tmp_path: Path):
    def is_reasoned(case: Case) -> bool:
        return "reasoning" in case.name

    async with Vllm() as server:
        assert await _differing(server, "chat", tmp_path, lambda case: not is_reasoned(case)) == []
    settings = Settings(reasoning_parser=True)
    async with Vllm(settings, write=lambda asked: _REASONED) as server:
        assert await _differing(server, "chat", tmp_path, is_reasoned) == []
