"""The double of vLLM: what no recording shows, since it is about time and about what is held."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from doubles.vllm import ApiError, Settings, Vllm, believing, text
from doubles.vllm.adapters import Held, Place
from doubles.vllm.prefix_cache import PrefixCache
from support import adapter_files

CHAT = "/v1/chat/completions"


def _client(server: Vllm) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, verify=False, timeout=30.0)


def _body(model: str, content: str = "How long?", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": content}], **more}


async def _say(client: httpx.AsyncClient, model: str, content: str = "How long?") -> str:
    reply = await client.post(CHAT, json=_body(model, content, max_tokens=8))
    assert reply.status_code == 200, reply.text
    return reply.json()["choices"][0]["message"]["content"]


async def _metric(client: httpx.AsyncClient, name: str) -> float:
    lines = (await client.get("/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"vllm:{name}{{"))


async def _until(client: httpx.AsyncClient, name: str, value: float) -> None:
    async with asyncio.timeout(10):
        while await _metric(client, name) != value:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_who_was_used_least_recently_leaves_slot_and_memory_first():
    held = Held(slots=2, memory=3)
    for number in (1, 2, 3):
        held.use(number)
    assert [held.where(number) for number in (1, 2, 3)] == [Place.MEMORY, Place.SLOT, Place.SLOT]
    held.use(1)
    held.use(4)
    assert [held.where(number) for number in (1, 2, 3, 4)] == [
        Place.SLOT,
        Place.FOLDER,
        Place.MEMORY,
        Place.SLOT,
    ]


def test_whole_blocks_of_the_same_adapter_are_hits():
    cache = PrefixCache(block_size=4, num_blocks=3)
    tokens = list(range(9))
    assert cache.hit("a", tokens) == 0
    cache.keep("a", tokens)
    assert [cache.hit("a", each) for each in (tokens, [*tokens[:4], 99, 99], tokens[:4])] == [8, 4, 0]
    assert cache.hit("b", tokens) == 0
    cache.keep("b", [1] * 9)
    assert cache.hit("a", tokens) == 4  # its second block had been used less lately


async def test_each_adapter_answers_in_its_own_words_whoever_asks_beside_it():
    async with Vllm(Settings(token_seconds=0.001), read=believing) as server, _client(server) as client:
        for name in ("v1", "v2"):
            await server.load(name, f"/adapters/{name}")
        models = ["tiny", "v1", "v2"]
        alone = {model: await _say(client, model) for model in models}
        assert len(set(alone.values())) == 3
        assert alone["v1"] == text("/adapters/v1", "user: How long?\nassistant:", 8)
        together = await asyncio.gather(*(_say(client, models[turn % 3]) for turn in range(24)))
        assert together == [alone[models[turn % 3]] for turn in range(24)]
        await server.load("v1", "/adapters/v2", in_place=True)
        assert await _say(client, "v1") == alone["v2"]


async def test_more_adapters_than_slots_wait_for_each_other():
    settings = Settings(max_loras=1, token_seconds=30.0)
    async with Vllm(settings, read=believing) as server, _client(server) as client:
        for name in ("v1", "v2"):
            await server.load(name, name)
        asking = [asyncio.create_task(_say(client, model)) for model in ("v1", "v2", "v1", "tiny")]
        await _until(client, "num_requests_waiting", 1)
        await _until(client, "num_requests_running", 3)
        exposition = (await client.get("/metrics")).text
        assert (
            'num_requests_waiting_by_reason{engine="0",model_name="tiny",reason="deferred"} 1.0' in exposition
        )
        assert 'running_lora_adapters="v1,v2",waiting_lora_adapters="v1,v2"' in exposition
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        await _until(client, "num_requests_running", 0)
        await _until(client, "num_requests_waiting", 0)
        assert server.left.is_set()


async def test_more_requests_than_may_run_wait_in_turn():
    settings = Settings(max_num_seqs=2, token_seconds=30.0)
    async with Vllm(settings) as server, _client(server) as client:
        asking = [asyncio.create_task(_say(client, "tiny")) for _ in range(3)]
        await _until(client, "num_requests_running", 2)
        await _until(client, "num_requests_waiting", 1)
        asking[0].cancel()
        await _until(client, "num_requests_waiting", 0)
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def test_status_of_a_stream_comes_at_once_and_its_first_frame_with_the_first_token():
    settings = Settings(max_num_seqs=1, token_seconds=30.0)
    async with Vllm(settings) as server, _client(server) as client:
        asking = asyncio.create_task(_say(client, "tiny"))
        await _until(client, "num_requests_running", 1)
        async with client.stream("POST", CHAT, json=_body("tiny", stream=True)) as reply:
            assert reply.status_code == 200
            await _until(client, "num_requests_waiting", 1)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await anext(reply.aiter_lines())
        await _until(client, "num_requests_waiting", 0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def test_what_the_prefix_cache_had_is_told():
    settings = Settings(prompt_tokens_details=True)
    async with Vllm(settings) as server, _client(server) as client:
        prompt = {"model": "tiny", "prompt": "word " * 100, "max_tokens": 1}
        cached = []
        for _ in range(2):
            usage = (await client.post("/v1/completions", json=prompt)).json()["usage"]
            cached.append(usage["prompt_tokens_details"]["cached_tokens"])
        assert cached[0] == 0
        assert cached[1] == await _metric(client, "prefix_cache_hits_total") > 0


async def test_a_restart_forgets_adapters_and_keeps_the_port():
    async with Vllm(read=believing) as server, _client(server) as client:
        await server.load("v1", "/adapters/v1")
        url = server.url
        await server.stop()
        with pytest.raises(httpx.ConnectError):
            await client.get("/health")
        await server.restart()
        assert server.url == url
        assert [each["id"] for each in (await client.get("/v1/models")).json()["data"]] == ["tiny"]


async def test_loads_fail_and_are_slow_where_a_test_says_so():
    async with Vllm(read=believing) as server:
        server.faults.failing_loads["/adapters/v1"] = "out of memory"
        with pytest.raises(ApiError, match="Worker failed with error 'out of memory'"):
            await server.load("v1", "/adapters/v1")
        assert server.adapters == {}
        server.faults.slow_loads["/adapters/v2"] = 30.0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await server.load("v2", "/adapters/v2")
        assert server.adapters == {}


async def test_engine_dies_where_the_folder_of_a_dropped_adapter_is_gone(tmp_path: Path):
    folder = adapter_files.write(tmp_path / "v1")
    others = adapter_files.write_all(tmp_path / "others")
    async with Vllm(Settings(max_loras=1, max_cpu_loras=1)) as server, _client(server) as client:
        await server.load("v1", str(folder))
        for file in folder.iterdir():
            file.unlink()
        await _say(client, "v1")  # it is in memory
        await server.load("v2", str(others / "a2"))
        reply = await client.post(CHAT, json=_body("v1"))
        assert (reply.status_code, reply.json()["error"]["type"]) == (500, "InternalServerError")
        assert (await client.get("/health")).status_code == 503


async def test_engine_dies_in_the_middle_where_the_folder_of_an_adapter_loaded_in_place_is_gone(
    tmp_path: Path,
):
    folder = adapter_files.write(tmp_path / "v1")
    async with Vllm(Settings(token_seconds=0.001)) as server, _client(server) as client:
        await server.load("v1", str(folder), in_place=True)
        lines: list[str] = []
        body = _body("v1", stream=True, max_tokens=16)
        async with client.stream("POST", CHAT, json=body) as reply:
            async for line in reply.aiter_lines():
                if not lines:
                    (folder / "adapter_model.safetensors").unlink()
                lines.append(line)
        *_, error, _, done, _ = lines
        assert error.startswith('data: {"error": {"message": "EngineCore encountered an issue.')
        assert done == "data: [DONE]"
        assert server.died.is_set()
        assert (await client.post(CHAT, json=_body("tiny"))).status_code == 500
        refused = await client.post("/v1/load_lora_adapter", json={"lora_name": "v2", "lora_path": "v2"})
        assert refused.status_code == 500


async def test_key_is_asked_for_under_v1_alone():
    async with Vllm(Settings(api_key="secret")) as server, _client(server) as client:
        refused = await client.get("/v1/models", headers={"authorization": "Bearer other"})
        assert (refused.status_code, refused.json()) == (401, {"error": "Unauthorized"})
        assert (await client.get("/v1/models", headers={"authorization": "Bearer secret"})).status_code == 200
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.post("/tokenize", json={"prompt": "a"})).status_code == 200


async def test_tokens_are_the_text_again():
    async with Vllm() as server, _client(server) as client:
        prompt = "Öl nach 40 Stunden;  zwei Leerzeichen"
        told = (await client.post("/tokenize", json={"prompt": prompt, "return_token_strs": True})).json()
        assert told["count"] == len(told["tokens"]) == len(told["token_strs"])
        again = await client.post("/detokenize", json={"tokens": told["tokens"]})
        assert again.json() == {"prompt": prompt}


async def test_runs_as_a_process(tmp_path: Path):
    folder = adapter_files.write(tmp_path / "v1")
    options = ("--port", "0", "--model", "base", "--max-loras", "1", "--api-key", "secret")
    failing = ("--failing-load", f"{tmp_path}/v2=no memory", "--prompt-tokens-details")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "doubles.vllm", *options, *failing),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    headers = {"authorization": "Bearer secret"}
    async with httpx.AsyncClient(base_url=url, verify=False, headers=headers) as client:
        for path, status in ((folder, 200), (tmp_path / "v2", 500)):
            body = {"lora_name": path.name, "lora_path": str(path)}
            assert (await client.post("/v1/load_lora_adapter", json=body)).status_code == status
        cards = (await client.get("/v1/models")).json()["data"]
        assert [card["id"] for card in cards] == ["base", "v1"]
    process.terminate()
    assert await process.wait() == 0
