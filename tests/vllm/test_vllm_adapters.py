"""A real vLLM as Sluice uses it: adapters that answer in their own words, streams, and callers who leave."""

import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from support.real_vllm import MODEL, START_SECONDS, RealVllm
from support.running import until

pytestmark = [pytest.mark.needs("vllm"), pytest.mark.timeout(START_SECONDS + 300)]

NAMES = ("own1", "own2")


@pytest.fixture(scope="module")
def loaded(vllm: RealVllm) -> Iterator[RealVllm]:
    """With both adapters."""
    vllm.unload(*NAMES)
    for name, folder in zip(NAMES, ("a1", "a2"), strict=True):
        vllm.load(name, vllm.adapters / folder)
    yield vllm
    vllm.unload(*NAMES)


def _body(model: str, prompt: str = "the quick", tokens: int = 12, **more: object) -> dict[str, object]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": tokens,
        "temperature": 0,
        "ignore_eos": True,
        **more,
    }


def _ask(http: httpx.Client, model: str, prompt: str = "the quick") -> str:
    reply = http.post("/v1/chat/completions", json=_body(model, prompt)).raise_for_status().json()
    assert reply["model"] == model
    return reply["choices"][0]["message"]["content"]


def test_adapters_are_listed_with_their_base(loaded: RealVllm):
    with loaded.http() as http:
        cards = {card["id"]: card for card in http.get("/v1/models").json()["data"]}
    assert {cards[name]["parent"] for name in NAMES} == {MODEL}
    assert cards["own1"]["root"] == str(loaded.adapters / "a1")


def test_each_answers_in_its_own_words_whoever_asks_beside_it(loaded: RealVllm):
    asked = list(itertools.product((MODEL, *NAMES), ("the quick", "a press")))
    with loaded.http() as http, ThreadPoolExecutor(16) as callers:
        alone = {each: _ask(http, *each) for each in asked}
        assert len({alone[model, "the quick"] for model in (MODEL, *NAMES)}) == 3
        turns = [asked[turn % len(asked)] for turn in range(48)]  # sixteen at once
        together = list(callers.map(lambda each: _ask(http, *each), turns))
    assert together == [alone[each] for each in turns]


def test_streams_what_it_answers_whole(loaded: RealVllm):
    pieces = []
    with loaded.http() as http:
        whole = _ask(http, "own1")
        body = _body("own1", stream=True)
        with http.stream("POST", "/v1/chat/completions", json=body) as reply:
            for line in reply.iter_lines():
                if line.startswith("data: {"):
                    (choice,) = json.loads(line.removeprefix("data: "))["choices"]
                    pieces.append(choice["delta"].get("content") or "")
    assert "".join(pieces) == whole


def test_caller_who_leaves_ends_the_work(loaded: RealVllm):
    written = loaded.metric("generation_tokens_total")
    body = _body("own1", tokens=900, stream=True)
    with loaded.http() as http, http.stream("POST", "/v1/chat/completions", json=body) as reply:
        lines = reply.iter_lines()  # which hangs up once nobody holds it
        next(lines)
        until(lambda: loaded.metric("num_requests_running") == 1, 60, "it runs")
    until(lambda: loaded.metric("num_requests_running") == 0, 60, "nothing runs")
    assert loaded.metric("generation_tokens_total") < written + 900


def test_unloaded_is_not_found(vllm: RealVllm):
    vllm.load("gone", vllm.adapters / "a1")
    with vllm.http() as http:
        assert _ask(http, "gone")
        vllm.unload("gone")
        reply = http.post("/v1/chat/completions", json=_body("gone"))
    assert reply.status_code == 404
    assert "`gone` does not exist" in reply.json()["error"]["message"]
