"""The keyword leg: in time, or left out with a reason; and not tried while its store is down."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY

from sluice_retriever.keyword.breaker import Breaker
from sluice_retriever.keyword.leg import Found, KeywordLeg
from sluice_retriever.keyword.store import Hits
from sluice_servicekit import deadlines
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import DeadlineExceeded, FailedPrecondition, Unavailable

POINT = str(uuid.uuid4())
HITS: Hits = [(POINT, 2.0)]
LATE = "keyword: DEADLINE_EXCEEDED"
FAILED = "keyword: UNAVAILABLE"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Searched:
    """A store of which only the search is asked."""

    def __init__(self, answer: Callable[[], Awaitable[Hits]]) -> None:
        self.answer = answer
        self.asked = 0

    async def search(self, tenant: str, query: str, limit: int) -> Hits:
        self.asked += 1
        return await self.answer()


async def _hits() -> Hits:
    return HITS


async def _never() -> Hits:
    await asyncio.Event().wait()
    raise AssertionError


def _raising(error: Exception) -> Callable[[], Awaitable[Hits]]:
    async def answer() -> Hits:
        raise error

    return answer


def _leg(store: Any, clock: Clock | None = None) -> KeywordLeg:
    return KeywordLeg("kb", store, Breaker(failures=3, pause=10.0, clock=clock or Clock()))


async def _run(leg: KeywordLeg, seconds: float = 0.1) -> Found:
    return await leg.run("acme", "wine", 10, seconds)


async def test_what_is_found_in_time_is_given():
    assert await _run(_leg(Searched(_hits))) == Found(HITS)


@pytest.mark.parametrize(
    ("answer", "degraded"),
    [
        (_never, LATE),
        (_raising(DeadlineExceeded("late")), LATE),
        (_raising(Unavailable("down")), FAILED),
        (_raising(FailedPrecondition("401")), FAILED),
        (_raising(ValueError("a fault of ours")), FAILED),
    ],
)
async def test_what_fails_or_is_late_is_left_out_and_said(
    answer: Callable[[], Awaitable[Hits]], degraded: str
):
    assert await _run(_leg(Searched(answer))) == Found([], degraded)


async def test_a_call_with_less_time_left_does_not_wait_longer():
    with deadlines.limit(0.02):
        assert await asyncio.wait_for(_run(_leg(Searched(_never)), 60.0), 5.0) == Found([], LATE)


async def test_hits_that_are_no_points_are_left_out():
    async def answer() -> Hits:
        return [("somebody's own document", 3.0), *HITS]

    assert await _run(_leg(Searched(answer))) == Found(HITS)


async def test_after_failures_in_a_row_nothing_is_tried_until_one_call_has_succeeded():
    clock, store = Clock(), Searched(_raising(Unavailable("down")))
    leg = _leg(store, clock)
    for _ in range(5):
        assert (await _run(leg)).degraded == FAILED
    assert store.asked == 3
    clock.now += 10.0
    await _run(leg)
    await _run(leg)
    assert store.asked == 4
    clock.now += 10.0
    store.answer = _hits
    assert [await _run(leg), await _run(leg)] == [Found(HITS), Found(HITS)]


async def test_failures_with_successes_between_them_open_nothing():
    store = Searched(_hits)
    leg = _leg(store)
    for answer in (_raising(Unavailable("down")), _raising(Unavailable("down")), _hits) * 3:
        store.answer = answer
        await _run(leg)
    assert store.asked == 9


async def test_deadlines_that_callers_make_short_say_nothing_about_the_store():
    store = Searched(_never)
    leg = _leg(store)
    for _ in range(5):
        assert (await _run(leg, 0.001)).degraded == LATE
    store.answer = _hits
    assert await _run(leg) == Found(HITS)


async def test_after_a_pause_only_one_call_tries():
    clock, store = Clock(), Searched(_raising(Unavailable("down")))
    leg = _leg(store, clock)
    for _ in range(3):
        await _run(leg)
    clock.now += 10.0
    asked, store.answer = store.asked, _never
    await asyncio.gather(*(_run(leg) for _ in range(5)))
    assert store.asked == asked + 1


async def test_legs_left_out_are_counted_by_reason():
    leg = KeywordLeg("counted", Searched(_raising(Unavailable("down"))), Breaker(failures=1))
    await _run(leg)
    await _run(leg)
    for reason in ("UNAVAILABLE", "CIRCUIT_OPEN"):
        labels = {"knowledge_base": "counted", "reason": reason}
        assert REGISTRY.get_sample_value(names.KEYWORD_LEGS_DROPPED, labels) == 1
