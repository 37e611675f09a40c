"""Replicas over real HTTP: what they say of themselves, how they come and go, and what they are asked with."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from doubles.vllm import Settings, Vllm, believing
from doubles.vllm import serving as serving_vllm
from sluice_api.objects.model_server import External, Extractive, ModelServerSpec, Routing
from sluice_api.objects.model_server import Vllm as VllmPods
from sluice_api.snapshot import Endpoint
from sluice_inference.domain.model import Finish, Message, Passage, Sampling, Task
from sluice_inference.engines.client import Path as Asked
from sluice_inference.engines.client import address, replica_name
from sluice_inference.engines.openai_compatible import OpenAiCompatibleEngine
from sluice_inference.engines.registry import Engines
from sluice_servicekit.errors import FailedPrecondition, NotFound, Unavailable
from support.upstreams import upstream, upstream_engine

TASK = Task(
    (Message("user", "How long?"),),
    (Passage("a.md", "Care", "Its oil is changed after 40 hours.", 1.0),),
    Sampling(temperature=0.0),
)


async def _finish(engine: OpenAiCompatibleEngine, task: Task = TASK) -> Finish:
    async with aclosing(engine.generate(task)) as events:
        async for event in events:
            if isinstance(event, Finish):
                return event
    raise AssertionError("no finish")


@asynccontextmanager
async def _watched(*servers: Vllm, **routing: object) -> AsyncIterator[OpenAiCompatibleEngine]:
    """An engine that looks at its replicas ten times a second."""
    urls = [server.v1 for server in servers]
    engine = upstream_engine(urls, is_vllm=True, **{"scrape_interval": "100ms", **routing})
    engine.watch()
    try:
        yield engine
    finally:
        await engine.close()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what it waits for is another's doing
            await asyncio.sleep(0.02)


async def test_ill_replica_gets_nothing_until_it_is_well():
    async with serving_vllm(2) as (ill, well), _watched(ill, well) as engine:
        ill.faults.health = 503
        view = engine.replicas[0].view
        await _until(lambda: not view(0.0).is_healthy)
        for _ in range(6):
            assert (await _finish(engine)).replica == replica_name(well.v1)
        assert not ill.requests
        ill.faults.health = 200
        well.faults.health = 503
        other = engine.replicas[1].view
        await _until(lambda: view(0.0).is_healthy and not other(0.0).is_healthy)
        assert (await _finish(engine)).replica == replica_name(ill.v1)


async def test_replica_that_others_keep_busy_gets_less():
    settings = Settings(token_seconds=0.5, answer_tokens=40)
    async with serving_vllm(2, settings) as (busy, free), _watched(busy) as others:
        theirs = [asyncio.create_task(_finish(others)) for _ in range(5)]
        await _until(lambda: len(busy.engine.running) == 5)
        async with _watched(busy, free) as engine:
            ours = engine.replicas[0]
            await _until(lambda: ours.view(asyncio.get_running_loop().time()).others >= 5)
            asking = [asyncio.create_task(_finish(engine)) for _ in range(4)]
            await _until(lambda: len(free.requests) == 4)
            for task in (*asking, *theirs):
                task.cancel()
            await asyncio.gather(*asking, *theirs, return_exceptions=True)


async def test_adapter_that_is_in_use_somewhere_is_asked_for_there():
    settings = Settings(token_seconds=0.5, answer_tokens=40)
    task = Task(TASK.messages, TASK.passages, TASK.sampling, model_name="x")
    async with serving_vllm(3, settings, read=believing) as servers:
        for server in servers:
            await server.load("x", "/adapters/x")
        for holder in servers:  # wherever its home is
            async with _watched(holder) as others:
                theirs = asyncio.create_task(_finish(others, task))
                await _until(lambda holder=holder: len(holder.engine.running) == 1)
                async with _watched(*servers) as engine:
                    place = next(each for each in engine.replicas if each.name == replica_name(holder.v1))
                    now = asyncio.get_running_loop().time
                    await _until(lambda place=place, now=now: "x" in place.view(now()).active)
                    ours = asyncio.create_task(_finish(engine, task))
                    await _until(lambda holder=holder: len(holder.engine.running) == 2)
                    for asking in (ours, theirs):
                        asking.cancel()
                    await asyncio.gather(ours, theirs, return_exceptions=True)


async def test_server_that_is_no_vllm_is_asked_for_answers_only():
    async with serving_vllm(1, fingerprint="fp_1") as (server,):
        engine = upstream_engine([server.v1], scrape_interval="100ms")
        engine.watch()
        await _finish(engine)
        (replica,) = engine.replicas
        server.faults.health = 503
        await engine.look()
        await engine.look()
        assert replica.view(0.0).is_healthy
        await engine.close()


async def test_key_is_read_again_when_its_file_changes(tmp_path: Path):
    key = tmp_path / "key"
    key.write_text("old\n")
    async with Vllm(Settings(api_key="old")) as server:
        engine = upstream_engine([server.v1], key="key", folder=tmp_path)
        await _finish(engine)
        (tmp_path / "next").write_text("new-key\n")
        (tmp_path / "next").replace(key)
        with pytest.raises(FailedPrecondition, match="API key"):
            await _finish(engine)
        key.unlink()  # for a moment, while it is put in place
        with pytest.raises(FailedPrecondition):
            await _finish(engine)
        key.write_text("old")
        await _finish(engine)
        await engine.close()


async def test_stream_goes_on_at_a_replica_that_has_gone():
    settings = Settings(token_seconds=0.02, answer_tokens=30)
    async with serving_vllm(2, settings) as (gone, new):
        engine = upstream_engine([gone.v1])
        stream = asyncio.create_task(_finish(engine))
        await _until(lambda: bool(gone.requests))
        engine.take_over(upstream([new.v1]))
        assert (await _finish(engine)).replica == replica_name(new.v1)
        finish = await stream
        assert (finish.replica, finish.completion_tokens) == (replica_name(gone.v1), 30)
        await engine.close()


def _external(*servers: Vllm, **routing: object) -> ModelServerSpec:
    urls = tuple(server.v1 for server in servers)
    return ModelServerSpec(
        base_model="tiny", external=External(urls=urls), routing=Routing.model_validate(routing)
    )


async def test_engine_outlives_changes_of_its_server_and_ends_its_streams_when_that_goes():
    settings = Settings(token_seconds=0.02, answer_tokens=30)
    engines = Engines(None)
    async with serving_vllm(2, settings) as (one, other):
        await engines.apply({"a": _external(one), "b": _external(one)})
        engine = engines.get("a")
        stream = asyncio.create_task(_finish(engine))
        await _until(lambda: bool(one.requests))
        await engines.apply({"a": _external(other, attempts=5), "b": _external(one)})
        assert engines.get("a") is engine
        assert (await _finish(engine)).replica == replica_name(other.v1)
        last = asyncio.create_task(_finish(engines.get("b")))
        await _until(lambda: len(one.requests) == 2)
        await engines.apply({"a": ModelServerSpec(extractive=Extractive())})
        with pytest.raises(NotFound):
            engines.get("b")
        assert [(await each).completion_tokens for each in (stream, last)] == [30, 30]
        await engines.close()


async def test_pods_of_the_operator_are_asked_by_its_word():
    pods = ModelServerSpec(base_model="tiny", vllm=VllmPods(image="vllm"))
    engines = Engines(None)
    async with serving_vllm(2) as (one, other):
        await engines.apply({"a": pods})
        with pytest.raises(Unavailable) as raised:
            await _finish(engines.get("a"))
        assert raised.value.reason == "NO_REPLICA"
        endpoints = (
            Endpoint(name="a-0", url=one.v1, draining=True),
            Endpoint(name="a-1", url=other.v1),
        )
        await engines.apply({"a": pods}, {"a": endpoints})
        for _ in range(4):
            assert (await _finish(engines.get("a"))).replica == "a-1"
        assert not one.requests
    await engines.close()


async def test_snapshot_with_a_key_that_cannot_be_read_changes_nothing(tmp_path: Path):
    engines = Engines(tmp_path)
    async with serving_vllm(1) as (server,):
        await engines.apply({"a": _external(server)})
        keyed = ModelServerSpec(
            base_model="tiny", external=External(urls=(server.v1,), api_key_secret="none")
        )
        with pytest.raises(FailedPrecondition, match="cannot be read"):
            await engines.apply({"b": keyed})
        await _finish(engines.get("a"))
    await engines.close()


@pytest.mark.parametrize("base", ["http://h:1/v1", "http://h:1/v1/"])
def test_urls_are_of_the_paths_that_may_be_asked_for(base: str):
    assert {path: address(base, path) for path in Asked} == {
        Asked.CHAT: "http://h:1/v1/chat/completions",
        Asked.MODELS: "http://h:1/v1/models",
        Asked.HEALTH: "http://h:1/health",
        Asked.METRICS: "http://h:1/metrics",
        Asked.TOKENIZE: "http://h:1/tokenize",
    }


def test_name_of_a_replica_holds_no_credentials():
    assert replica_name("https://user:pass@h:1/v1") == "h:1"
    assert replica_name("https://h/openai/v1/") == "h/openai"
