"""The agent's client of vLLM, against a double of it and against what a real one was recorded to say."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from doubles.vllm import Settings, Vllm, believing
from sluice_inference.adapter_agent.engine import Engine
from sluice_inference.adapter_agent.reasons import Reason, is_permanent
from sluice_servicekit.errors import ServiceError
from support.adapter_sources import Answer, giving, serving
from support.vllm_recordings import recorded


@asynccontextmanager
async def engine(url: str, key: str = "", seconds: float = 30.0) -> AsyncIterator[Engine]:
    made = Engine(url, lambda: key, seconds)
    try:
        yield made
    finally:
        await made.close()


async def refused(url: str, name: str = "a", path: str = "/adapters/a", key: str = "") -> ServiceError:
    async with engine(url, key) as asked:
        with pytest.raises(ServiceError) as caught:
            await asked.load(name, path)
    return caught.value


def through(vllm: Vllm, lost: str) -> Answer:
    """Passes calls on; the reply of one path is lost on the way back."""

    async def answer(request: web.Request) -> web.StreamResponse:
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, vllm.url + request.path, data=await request.read(), headers=request.headers
            ) as reply,
        ):
            content = await reply.read()
        if request.path == lost:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(body=content, status=reply.status, content_type=reply.content_type)

    return answer


async def test_an_adapter_is_loaded_once_and_unloaded_once() -> None:
    async with Vllm(read=believing) as vllm, engine(vllm.url) as asked:
        assert await asked.load("a--1", "/adapters/a") is True
        assert await asked.load("a--1", "/adapters/a") is False
        listed = await asked.models()
        assert listed.base == ("tiny",)
        assert listed.adapters == {"a--1": "/adapters/a"}
        assert await asked.unload("a--1") == "/adapters/a"
        assert await asked.unload("a--1") == ""
        assert (await asked.models()).adapters == {}


async def test_a_name_stands_for_one_path() -> None:
    async with Vllm(read=believing) as vllm, engine(vllm.url) as asked:
        await asked.load("a", "/adapters/a")
        taken = await refused(vllm.url, "a", "/adapters/b")
        base = await refused(vllm.url, "tiny", "/adapters/b")
        with pytest.raises(ServiceError) as caught:
            await asked.unload("tiny")
        assert list(vllm.adapters) == ["a"]

    assert taken.reason == base.reason == Reason.NAME_TAKEN
    assert caught.value.reason == Reason.NAME_INVALID


async def test_a_lost_reply_is_made_up_for_by_looking() -> None:
    async with Vllm(read=believing) as vllm:
        async with serving(through(vllm, "/v1/load_lora_adapter")) as site, engine(site.url) as asked:
            assert await asked.load("a", "/adapters/a") is True
        async with serving(through(vllm, "/v1/unload_lora_adapter")) as site, engine(site.url) as asked:
            assert await asked.unload("a") == "/adapters/a"
        assert vllm.adapters == {}


async def test_a_load_that_takes_too_long_may_be_asked_for_again() -> None:
    async with Vllm(read=believing) as vllm:
        vllm.faults.slow_loads = {"/adapters/a": 60.0}
        async with engine(vllm.url, seconds=0.2) as asked:
            with pytest.raises(ServiceError) as caught:
                await asked.load("a", "/adapters/a")
    assert caught.value.reason == Reason.ENGINE_UNREACHABLE
    assert not is_permanent(caught.value)


async def test_two_who_load_the_same_at_once_both_have_it() -> None:
    async with Vllm(Settings(load_seconds=0.05), read=believing) as vllm, engine(vllm.url) as asked:
        both = await asyncio.gather(asked.load("a", "/adapters/a"), asked.load("a", "/adapters/a"))
    assert both == [True, True]


@pytest.mark.parametrize(
    ("says", "reason", "permanent"),
    [
        ("LoRA rank 64 is greater than max_lora_rank 8.", Reason.RANK_TOO_HIGH, True),
        ("CUDA out of memory", Reason.ENGINE_FAILED, False),
    ],
)
async def test_what_the_worker_says_is_told_apart(says: str, reason: Reason, permanent: bool) -> None:
    async with Vllm(read=believing) as vllm:
        vllm.faults.failing_loads = {"/adapters/a": says}
        error = await refused(vllm.url)
    assert error.reason == reason
    assert is_permanent(error) is permanent
    assert says in error.message


async def test_a_folder_that_vllm_does_not_see_says_that_it_must_be_mounted() -> None:
    async with Vllm() as vllm:
        error = await refused(vllm.url)
    assert error.reason == Reason.ENGINE_PATH_MISSING
    assert "mount" in error.message


async def test_a_vllm_that_loads_nothing_at_run_time_says_how_to_start_it() -> None:
    async with Vllm(Settings(runtime_lora=False), read=believing) as vllm:
        error = await refused(vllm.url)
    assert error.reason == Reason.ENGINE_LORA_OFF
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" in error.message


async def test_the_key_is_sent_and_another_is_told_of() -> None:
    async with Vllm(Settings(api_key="right"), read=believing) as vllm:
        async with engine(vllm.url, "right") as asked:
            assert await asked.load("a", "/adapters/a")
        error = await refused(vllm.url, key="wrong")
    assert error.reason == Reason.ENGINE_AUTH
    assert is_permanent(error)


async def test_nobody_there_is_worth_another_try() -> None:
    async with Vllm(read=believing) as vllm:
        url = vllm.url
    error = await refused(url)
    assert error.reason == Reason.ENGINE_UNREACHABLE
    assert not is_permanent(error)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"data": [{}]}', b'{"data": 5}'])
async def test_another_server_than_vllm_is_no_engine(content: bytes) -> None:
    async with serving(giving(content)) as site:
        error = await refused(site.url)
    assert error.reason == Reason.ENGINE_FAILED


async def test_a_load_that_is_not_listed_is_not_believed() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"data": []}) if request.method == "GET" else web.Response(text="Success")

    async with serving(answer) as site:
        error = await refused(site.url)
    assert error.reason == Reason.ENGINE_FAILED
    assert "does not list it" in error.message


RECORDED = {
    "load: path does not exist": Reason.ENGINE_PATH_MISSING,
    "load: rank over max_lora_rank": Reason.RANK_TOO_HIGH,
    "load: no adapter_config.json": Reason.ENGINE_PATH_MISSING,
    "load: corrupt safetensors": Reason.ENGINE_FAILED,
    "load: empty name": Reason.ENGINE_REFUSED,
    "load: missing field": Reason.ENGINE_REFUSED,
}


@pytest.mark.parametrize(
    "case", [case for case in recorded("lora") if case.name in RECORDED], ids=lambda c: c.name
)
async def test_each_recorded_refusal_has_its_reason(case: object) -> None:
    reply = case.answer  # type: ignore[attr-defined]

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response({"data": []})
        return web.Response(text=reply.body, status=reply.status, content_type=reply.content_type)

    async with serving(answer) as site:
        error = await refused(site.url)
    assert error.reason == RECORDED[case.name]  # type: ignore[attr-defined]
