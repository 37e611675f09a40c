"""Servers that rank: batches, retries, limits, refusals, and what is there when time runs out."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sluice_api.objects.ranker import RankerEndpoint
from sluice_reranker.domain.model import Candidate, Question
from sluice_reranker.rankers.endpoint import EndpointScorer
from sluice_reranker.rankers.protocol import Scores
from sluice_servicekit.errors import FailedPrecondition, NotFound, ResourceExhausted, Unavailable
from support import ranking_server
from support.ranking_server import RankingServer

QUESTION = Question("which press?")


@asynccontextmanager
async def _scorer(
    server: RankingServer, api_key: str = "", path: str = "", **spec: Any
) -> AsyncIterator[EndpointScorer]:
    async with ranking_server.serving(server):
        scorer = EndpointScorer(RankerEndpoint(url=server.url + path, **spec), api_key)
        try:
            yield scorer
        finally:
            await scorer.close()


async def _scores(scorer: EndpointScorer, *texts: str, seconds: float | None = 20.0) -> Scores:
    until = None if seconds is None else time.monotonic() + seconds
    return await scorer.score(QUESTION, [Candidate("", text, 0.0) for text in texts], until)


def _relevance(*logits: float) -> Sequence[float]:
    return pytest.approx([1 / (1 + math.exp(-logit)) for logit in logits])


async def test_tei_is_asked_for_logits_which_become_relevance():
    server = RankingServer()
    async with _scorer(server, api_key="k") as scorer:
        scores = await scorer.score(
            QUESTION, [Candidate("", "-3", 0.0), Candidate("Press", "7", 0.0)], time.monotonic() + 20
        )
    assert scores.relevance == _relevance(-3, 0)  # "Press\n7" is no number
    [request] = server.requests
    assert request == {
        "query": "which press?",
        "texts": ["-3", "Press\n7"],
        "raw_scores": True,
        "truncate": True,
    }
    assert server.headers[0]["authorization"] == "Bearer k"


async def test_tei_is_asked_in_batches_of_its_own_limit():
    server = RankingServer(max_batch=4)
    async with _scorer(server) as scorer:
        logits = [float(value) for value in range(-5, 5)]
        for _ in range(2):
            assert (await _scores(scorer, *map(str, logits))).relevance == _relevance(*logits)
    assert sorted(len(request["texts"]) for request in server.requests) == [2, 2, 4, 4, 4, 4]
    assert server.infos == 1


async def test_a_server_that_does_not_tell_its_limit_is_sent_halves():
    server = RankingServer(max_batch=3, knows_info=False)
    async with _scorer(server) as scorer:
        assert (await _scores(scorer, "1", "2", "3", "4", "5")).relevance == _relevance(1, 2, 3, 4, 5)


async def test_a_text_that_cannot_be_read_costs_only_itself():
    async with _scorer(RankingServer()) as scorer:
        scores = await _scores(scorer, "1", "\ufffd", "3")
    assert scores.relevance[1] is None
    assert [scores.relevance[0], scores.relevance[2]] == _relevance(1, 3)
    assert scores.partial_reason == "RANKER_TOO_LARGE"


@pytest.mark.parametrize("status", [429, 503, 0])
async def test_what_may_pass_is_tried_again(status):
    server = RankingServer(statuses=[status, status])
    async with _scorer(server) as scorer:
        assert (await _scores(scorer, "2")).relevance == _relevance(2)
    assert len(server.requests) == 3


async def test_who_asks_for_more_patience_than_there_is_time_is_not_asked_again():
    server = RankingServer(statuses=[429] * 9, retry_after="3")
    async with _scorer(server) as scorer:
        with pytest.raises(ResourceExhausted) as raised:
            await _scores(scorer, "2", seconds=2.0)
    assert raised.value.retry_after == 3.0
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (401, FailedPrecondition, "check its API key"),
        (404, NotFound, "check its URL"),
        (400, FailedPrecondition, "says"),
        (424, FailedPrecondition, "check that its model ranks"),
    ],
)
async def test_what_will_not_pass_is_not_tried_again(status, error, says):
    server = RankingServer(statuses=[status])
    async with _scorer(server) as scorer:
        with pytest.raises(error, match=says):
            await _scores(scorer, "2")
    assert len(server.requests) == 1


async def test_a_server_that_is_not_there_is_unavailable():
    scorer = EndpointScorer(RankerEndpoint(url="http://127.0.0.1:9"))
    try:
        with pytest.raises(Unavailable, match="cannot be reached"):
            await _scores(scorer, "2", seconds=1.0)
    finally:
        await scorer.close()


async def test_at_the_deadline_there_is_what_was_answered_by_then():
    server = RankingServer(max_batch=2, held=asyncio.Event(), unheld=1)
    async with _scorer(server) as scorer:
        scores = await _scores(scorer, "1", "2", "3", "4", seconds=1.0)
    assert scores.relevance[:2] == _relevance(1, 2)
    assert scores.relevance[2:] == [None, None]
    assert scores.partial_reason == "deadline"


async def test_where_one_batch_fails_there_are_the_others_and_why():
    server = RankingServer(max_batch=1, statuses=[200, 400])
    async with _scorer(server) as scorer:
        scores = await _scores(scorer, "1", "2", "3")
    assert sorted(value is None for value in scores.relevance) == [False, False, True]
    assert scores.partial_reason == "RANKER_REFUSED"


async def test_requests_of_a_caller_who_leaves_are_dropped():
    server = RankingServer(held=asyncio.Event())
    async with _scorer(server) as scorer:
        asking = asyncio.create_task(_scores(scorer, "1"))
        async with asyncio.timeout(20):
            while not server.requests:  # noqa: ASYNC110 - the double keeps a list
                await asyncio.sleep(0.005)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {"results": []},
        "scores",
        [{"index": 0, "score": 1.0}],
        [{"index": 0, "score": 1.0}, {"index": 0, "score": 1.0}],
        [{"index": 0, "score": 1.0}, {"index": 7, "score": 1.0}],
        [{"index": 0, "score": None}, {"index": 1, "score": 1.0}],
        [{"index": 0, "score": float("nan")}, {"index": 1, "score": 1.0}],
    ],
)
async def test_an_answer_that_is_none_is_refused(answer):
    async with _scorer(RankingServer(answer=answer)) as scorer:
        with pytest.raises(FailedPrecondition, match="not 2 scores") as raised:
            await _scores(scorer, "1", "2")
    assert raised.value.reason == "RANKER_ANSWER"


async def test_cohere_and_its_like():
    server = RankingServer()
    async with _scorer(server, path="/v1", protocol="cohere", model="m", batch=2) as scorer:
        assert (await _scores(scorer, "1", "-2", "3", seconds=None)).relevance == _relevance(1, -2, 3)
        assert scorer.model == "cohere-m"
    assert {"model": "m", "query": "which press?", "documents": ["1", "-2"], "top_n": 2} in server.requests
    assert server.infos == 0


async def test_relevance_beyond_0_to_1_is_cut_off():
    results = [{"index": 0, "relevance_score": 1.5}, {"index": 1, "relevance_score": -0.5}]
    async with _scorer(
        RankingServer(answer={"results": results}), path="/v1", protocol="cohere", model="m"
    ) as scorer:
        assert (await _scores(scorer, "a", "b")).relevance == [1.0, 0.0]
