"""Prompts within what a model holds, against a server that counts as vLLM does."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sluice_api.objects.model_server import External, ModelServerSpec
from sluice_api.objects.prompt import Prompt
from sluice_inference.domain.model import Delta, Finish, Message, Passage, Prepared, Sampling, Task
from sluice_inference.domain.tools import Tool, Tools
from sluice_inference.engines import server_facts
from sluice_inference.engines.composing import Composer
from sluice_inference.engines.openai_compatible import OpenAiCompatibleEngine
from sluice_inference.engines.registry import Engines
from sluice_inference.engines.server_facts import ServerFacts, context_length
from sluice_inference.engines.tokenizing import LocalTokenizer
from sluice_minilm.tokenizing import ASSETS
from sluice_servicekit.errors import FailedPrecondition, InvalidArgument, Unavailable
from support.model_server import ModelServer, prompt_tokens, serving
from support.upstreams import upstream_engine

QUESTION = Message("user", "How long does it take?")
FACT = "Its oil is changed after forty hours of work, by trained staff alone. "


def _task(passages: int = 12, sentences: int = 10, **prompt: object) -> Task:
    return Task(
        (QUESTION,),
        tuple(Passage(f"{n}.md", f"Care {n}", FACT * sentences, 1.0) for n in range(1, passages + 1)),
        Sampling(max_tokens=100),
        prompt=Prompt(**prompt),
    )


@asynccontextmanager
async def _engine(server: ModelServer, tokenizer: Path | None = None):
    engine = upstream_engine([server.url], tokenizer=LocalTokenizer(tokenizer) if tokenizer else None)
    try:
        yield engine
    finally:
        await engine.close()


async def _asked(engine: OpenAiCompatibleEngine, task: Task) -> tuple[Prepared | None, Finish]:
    events = [event async for event in engine.generate(task)]
    assert isinstance(events[-1], Finish)
    told = [event for event in events if isinstance(event, Prepared)]
    assert told == events[: len(told)]
    assert any(isinstance(event, Delta) for event in events)
    assert events[-1].prepared == (told[0] if told else None)
    return (told[0] if told else None), events[-1]


def _letters(text: str) -> int:
    """More tokens than any estimate expects."""
    return len(text) // 2


async def test_prompt_fits_what_the_server_says_its_model_holds():
    async with serving(ModelServer(tokens=_letters, context=2000)) as server, _engine(server) as engine:
        prepared, finish = await _asked(engine, _task())
        adapted, _ = await _asked(engine, replace(_task(), model_name="support-de"))
    assert 1 <= prepared.passages_read < 12
    assert adapted == prepared
    assert 1500 < finish.prompt_tokens <= 1900
    assert len(server.tokenized) == len(server.requests) == 2  # counted once for each question
    system = server.requests[0]["messages"][0]["content"]
    assert system.count('title="Care ') == prepared.passages_read


async def test_nothing_is_counted_where_there_is_room_in_any_case():
    async with serving(ModelServer(tokens=_letters, context=50_000)) as server, _engine(server) as engine:
        prepared, _ = await _asked(engine, _task())
    assert prepared is None
    assert server.tokenized == []


async def test_estimate_learns_from_a_server_that_does_not_count():
    async with serving(ModelServer(context=2000)) as server, _engine(server) as engine:
        server.tokens = _letters
        before = (await _asked(engine, _task(1)))[1]
        server.tokens = None
        await _asked(engine, _task())
        first = len(server.tokenized)
        prepared, _ = await _asked(engine, _task())
        server.tokens = _letters
        read = prompt_tokens(server, server.requests[-1])
    assert before.prompt_tokens > 0
    assert prepared.passages_read < 12
    assert read <= 1900
    assert first == len(server.tokenized) == 1  # a server that has no such path is not asked again


@pytest.mark.parametrize(("of_a_word", "fits"), [(0.5, True), (3.0, False)])
async def test_question_is_counted_before_it_is_refused(
    of_a_word: float, fits: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(server_facts, "_PATIENCE", 60.0)  # the machine may be busy
    long = replace(_task(1), messages=(Message("user", "word " * 1500),))
    counted = ModelServer(tokens=lambda text: int(len(text.split()) * of_a_word), context=3000)
    async with serving(counted) as server, _engine(server) as engine:
        if fits:  # by an estimate alone it would not
            assert (await _asked(engine, long))[0] is None
        else:
            with pytest.raises(InvalidArgument) as raised:
                await _asked(engine, long)
            assert raised.value.reason == "PROMPT_TOO_LONG"
    assert (len(server.tokenized), len(server.requests)) == (1, int(fits))


async def test_answer_that_is_to_fill_the_context_leaves_no_room():
    greedy = replace(_task(1), sampling=Sampling(max_tokens=2000))
    async with serving(ModelServer(tokens=_letters, context=2000)) as server, _engine(server) as engine:
        with pytest.raises(InvalidArgument, match="may have 0 tokens") as raised:
            await _asked(engine, greedy)
    assert (raised.value.reason, server.requests) == ("PROMPT_TOO_LONG", [])


async def test_models_own_tokenizer_counts_without_asking(tmp_path: Path):
    tokenizer = LocalTokenizer(ASSETS)
    await tokenizer.load()
    assert "[CLS]" in tokenizer.special_tokens
    hostile = replace(_task(40), messages=(Message("user", "Is [CLS] a word?"),))
    async with (
        serving(ModelServer(tokens=tokenizer.count, context=2000)) as server,
        _engine(server, ASSETS / "tokenizer.json") as engine,
    ):
        prepared, finish = await _asked(engine, hostile)
    assert 5 < prepared.passages_read < 40
    assert 1700 < finish.prompt_tokens <= 1900
    assert server.tokenized == []
    assert server.requests[0]["messages"][-1]["content"] == "Is ⟦CLS] a word?"


async def test_tokenizer_that_is_none_is_named(tmp_path: Path):
    external = External(urls=("http://127.0.0.1:9/v1",))
    spec = ModelServerSpec(base_model="tiny", external=external, tokenizer=str(tmp_path))
    engines = Engines(None)
    with pytest.raises(FailedPrecondition, match=str(tmp_path)) as raised:
        await engines.apply({"default": spec})
    assert raised.value.reason == "TOKENIZER_MISSING"
    (tmp_path / "tokenizer.json").write_text("{}")
    await engines.apply({"default": spec})
    with pytest.raises(FailedPrecondition) as raised:
        await anext(engines.get("default").generate(_task(1)))
    assert raised.value.reason == "TOKENIZER_UNREADABLE"
    await engines.close()


async def test_same_passages_make_the_same_prefix_and_others_another_tag():
    async with serving(ModelServer()) as server, _engine(server) as engine:
        for task in (_task(2), _task(2), _task(3)):
            await _asked(engine, replace(task, canary="6f1d0b"))
    first, again, other = (request["messages"][0]["content"] for request in server.requests)
    assert first == again
    begin = first.index("What stands between")
    assert other[:begin] == first[:begin]
    assert other[begin : begin + 60] != first[begin : begin + 60]


async def test_server_that_is_silent_holds_nothing_up_for_long():
    asked: list[str] = []
    now = [0.0]

    async def ask(path: str, body: object) -> None:
        asked.append(path)
        if path == "/v1/models":
            raise Unavailable("gone")
        await asyncio.Event().wait()

    facts = ServerFacts(ask, lambda: now[0])
    tools = Tools((Tool("get_weather"),))
    for _ in range(2):
        assert await facts.context("tiny") is None
        assert await facts.count("tiny", (QUESTION,), tools) is None
    assert asked == ["/v1/models", "/tokenize"]
    now[0] = 31.0
    assert await facts.context("tiny") is None
    assert asked == ["/v1/models", "/tokenize", "/v1/models"]


def test_context_is_that_of_the_model_or_of_the_one_it_adapts():
    base = {"id": "tiny", "parent": None, "max_model_len": 1024}
    models = {"data": [base, {"id": "a1", "parent": "tiny", "max_model_len": None}]}
    assert [context_length(models, name) for name in ("tiny", "a1", "alias")] == [1024, 1024, 1024]
    assert context_length({"data": [{"id": "gpt"}]}, "gpt") is None
    assert context_length({"data": "none"}, "gpt") is None


async def test_a_tokenizer_that_was_read_is_kept_while_its_path_stays():
    composer = Composer(ServerFacts(_nobody))
    first, same, another = (LocalTokenizer(path) for path in (ASSETS, ASSETS, ASSETS / "tokenizer.json"))
    composer.take_over(first)
    composer.take_over(same)
    assert composer.tokenizer is first
    composer.take_over(another)
    assert composer.tokenizer is another
    composer.take_over(None)
    assert composer.tokenizer is None


async def _nobody(*_: object) -> None:
    return None
