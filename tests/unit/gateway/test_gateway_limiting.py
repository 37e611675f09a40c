"""Rates, budgets and runs at once: the arithmetic, and one replica on counters of its own."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_gateway.domain.admission.admission import Admission
from sluice_gateway.domain.limiting.counting import Grant, LocalCounters, Used, Want, counted
from sluice_gateway.domain.limiting.estimate import estimated
from sluice_gateway.domain.limiting.limiter import Limiter
from sluice_gateway.domain.limiting.limits import Limits, Rule, Scope, Span, Unit, rules_of
from sluice_gateway.domain.model import Message, Principal, RunRequest, Sampling, Usage
from sluice_gateway.domain.observing import EndedRun
from sluice_gateway.domain.run import RunState
from sluice_gateway.http.rate_limits import duration, headers
from sluice_servicekit.errors import LimitExceeded, Unavailable

NOON = datetime(2026, 3, 15, 12, tzinfo=UTC).timestamp()


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


class Counting(LocalCounters):
    """Local counters that count how often they are asked, and can be away."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.asked = 0
        self.away = False

    async def move(self, wants: Sequence[Want]) -> list[Grant]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("gone")
        return self.moved(wants)


def _scope(**limits: int) -> list[Scope]:
    return [Scope("tenant:acme", Limits(**limits))]


async def _passed(limiter: Limiter, scopes: list[Scope], requests: int, tokens: int = 0) -> int:
    passed = 0
    for _ in range(requests):
        await limiter.provide(scopes, tokens, run=False)
        try:
            limiter.reserve(scopes, tokens, run=False)
        except LimitExceeded:
            continue
        passed += 1
    return passed


@given(
    limit=st.integers(1, 1000),
    steps=st.lists(st.tuples(st.floats(0, 30), st.floats(0, 200)), max_size=40),
)
def test_bucket_never_grants_more_than_it_holds_and_gets_back(limit: int, steps: list[tuple[float, float]]):
    rule = Rule(Unit.REQUESTS, Span.MINUTE, limit)
    used, now, granted = Used(), NOON, 0.0
    for wait, take in steps:
        now += wait
        used, grant = counted(used, Want("s", rule, take=take), now)
        assert 0 <= grant.units <= take
        granted += grant.units
    assert granted <= limit + (now - NOON) * limit / 60 + 1e-6


def test_clock_that_runs_behind_gives_nothing_back_twice():
    rule = Rule(Unit.REQUESTS, Span.MINUTE, 60)
    used, _ = counted(Used(), Want("s", rule, take=60), NOON)
    used, grant = counted(used, Want("s", rule, take=60), NOON - 50)
    assert grant.units == 0
    used, grant = counted(used, Want("s", rule, take=60), NOON + 10)
    assert grant.units == pytest.approx(10)


@pytest.mark.parametrize(
    ("span", "at", "start", "end"),
    [
        (Span.DAY, (2026, 3, 15, 12), (2026, 3, 15), (2026, 3, 16)),
        (Span.MONTH, (2026, 12, 31, 23), (2026, 12, 1), (2027, 1, 1)),
        (Span.MONTH, (2028, 2, 29, 0), (2028, 2, 1), (2028, 3, 1)),
    ],
)
def test_budgets_go_by_the_calendar(span: Span, at: tuple, start: tuple, end: tuple):
    rule = Rule(Unit.TOKENS, span, 10)
    moment = datetime(*at, tzinfo=UTC).timestamp()
    assert rule.start(moment) == datetime(*start, tzinfo=UTC).timestamp()
    assert rule.end(moment) == datetime(*end, tzinfo=UTC).timestamp()


def test_limits_of_a_tenant_stand_over_the_defaults():
    merged = Limits(concurrency=2).over(Limits(concurrency=9, tokens_per_day=5))
    assert (merged.concurrency, [rule.name for rule in rules_of(merged)]) == (2, ["tokens_per_day"])


async def test_requests_a_minute():
    clock = Clock()
    counters = Counting(clock)
    limiter = Limiter(counters, clock)
    scopes = _scope(requests_per_minute=100)
    assert await _passed(limiter, scopes, 300) == 100
    assert counters.asked <= 30
    with pytest.raises(LimitExceeded) as raised:
        limiter.reserve(scopes, run=False)
    assert (raised.value.reason, raised.value.quota) == (
        "RATE_LIMIT_EXCEEDED",
        "tenant:acme/requests_per_minute",
    )
    assert 0 < raised.value.retry_after < 2
    clock.now += 30
    assert await _passed(limiter, scopes, 300) == 50


async def test_what_is_refused_asks_nobody():
    clock = Clock()
    counters = Counting(clock)
    limiter = Limiter(counters, clock)
    scopes = _scope(requests_per_minute=10)
    await _passed(limiter, scopes, 20)
    before = counters.asked
    assert await _passed(limiter, scopes, 1000) == 0
    assert counters.asked == before


async def test_budget_of_a_day_is_there_again_the_next_day():
    clock = Clock()
    limiter = Limiter(Counting(clock), clock)
    scopes = _scope(tokens_per_day=1000)
    assert await _passed(limiter, scopes, 20, tokens=100) == 10
    with pytest.raises(LimitExceeded) as raised:
        limiter.reserve(scopes, 100)
    assert raised.value.reason == "INSUFFICIENT_QUOTA"
    assert raised.value.retry_after == 12 * 3600
    clock.now += 12 * 3600
    assert await _passed(limiter, scopes, 20, tokens=100) == 10


async def test_tokens_are_settled_by_what_was_used():
    clock = Clock()
    limiter = Limiter(Counting(clock), clock)
    scopes = _scope(tokens_per_minute=1000)
    for used, remaining in ((10, 990), (400, 590)):
        await limiter.provide(scopes, 500)
        limiter.settle(limiter.reserve(scopes, 500), used)
        assert limiter.standing(scopes)[0].remaining == remaining
    await limiter.provide(scopes, 500)
    limiter.settle(limiter.reserve(scopes, 500), 1200)  # more than there is: owed
    with pytest.raises(LimitExceeded):
        limiter.reserve(scopes, 1)
    clock.now += 30
    assert await _passed(limiter, scopes, 1, tokens=1) == 0
    clock.now += 30
    assert await _passed(limiter, scopes, 1, tokens=100) == 1


async def test_request_larger_than_the_limit_is_told_so():
    clock = Clock()
    limiter = Limiter(Counting(clock), clock)
    with pytest.raises(LimitExceeded, match="lower max_tokens") as raised:
        limiter.reserve(_scope(tokens_per_minute=100), 101)
    assert raised.value.retry_after is None


async def test_refused_request_takes_nothing():
    clock = Clock()
    limiter = Limiter(Counting(clock), clock)
    scopes = [*_scope(requests_per_minute=100), Scope("key:ci", Limits(requests_per_minute=1))]
    assert await _passed(limiter, scopes, 5) == 1
    assert [standing.remaining for standing in limiter.standing(scopes[:1])] == [99]
    assert [standing.remaining for standing in limiter.standing(scopes)] == [0]


async def test_runs_at_once():
    clock = Clock()
    limiter = Limiter(Counting(clock), clock)
    scopes = _scope(concurrency=2)
    taken = []
    for _ in range(2):
        await limiter.provide(scopes)
        taken.append(limiter.reserve(scopes))
    await limiter.provide(scopes)
    with pytest.raises(LimitExceeded, match="2 runs of the tenant acme are going on"):
        limiter.reserve(scopes)
    await limiter.provide(scopes, run=False)
    limiter.reserve(scopes, run=False)
    limiter.release(taken.pop())
    await limiter.close()
    await limiter.provide(scopes)
    limiter.reserve(scopes)


async def test_limit_that_changes_holds_at_once():
    clock = Clock()
    limiter = Limiter(Counting(clock), clock)
    assert await _passed(limiter, _scope(requests_per_minute=10), 30) == 10
    assert await _passed(limiter, _scope(requests_per_minute=30), 40) == 20
    assert await _passed(limiter, _scope(requests_per_minute=5), 30) == 0


async def test_counters_that_are_away_leave_each_replica_the_limit_alone(caplog: pytest.LogCaptureFixture):
    clock = Clock()
    counters = Counting(clock)
    counters.away = True
    limiter = Limiter(counters, clock)
    assert await _passed(limiter, _scope(requests_per_minute=50), 100) == 50
    assert len([record for record in caplog.records if "applies the limits alone" in record.message]) == 1
    assert counters.asked == 1
    counters.away = False
    clock.now += 60
    assert await _passed(limiter, _scope(requests_per_minute=50), 100) == 50
    assert counters.asked > 1


async def test_what_is_not_used_goes_back():
    clock = Clock()
    counters = Counting(clock)
    limiter = Limiter(counters, clock)
    scopes = _scope(tokens_per_day=1000)
    assert await _passed(limiter, scopes, 1, tokens=1) == 1
    clock.now += 10
    await limiter.tend()
    [grant] = counters.moved([Want("tenant:acme", next(rules_of(scopes[0].limits)))])
    assert grant.free == 999


REQUEST = RunRequest(
    "default", Principal("acme"), (Message("user", "x" * 400),), Sampling(max_tokens=300), stream=True
)


def test_estimate_is_what_is_read_and_the_most_that_may_be_written():
    assert estimated(REQUEST) == 400


@pytest.mark.parametrize(
    ("state", "blocked_at", "usage", "charged"),
    [
        (RunState.ANSWERED, "", Usage(20, 30), 50),
        (RunState.FAILED, "", Usage(), 0),
        (RunState.CANCELLED, "", Usage(), 400),
        (RunState.CANCELLED, "", Usage(70, 1), 71),
        (RunState.BLOCKED, "guard_input", Usage(), 0),
        (RunState.BLOCKED, "guard_output", Usage(), 400),
    ],
)
async def test_run_is_charged_by_how_it_ended(state: RunState, blocked_at: str, usage: Usage, charged: int):
    clock = Clock()
    scopes = _scope(tokens_per_minute=1000, concurrency=1)
    admission = Admission(8, limiter=Limiter(Counting(clock), clock), scopes=lambda _: scopes)
    await admission.prepare(REQUEST)
    with admission.admit(REQUEST, "1"):
        ended = EndedRun("1", REQUEST.principal, "default", "1", state, "", 1.0, usage, blocked_at=blocked_at)
        admission.run_ended(ended)
        admission.run_ended(ended)  # once is enough
    assert admission.standing(REQUEST.principal)[0].remaining == 1000 - charged
    await admission.prepare(REQUEST)
    with admission.admit(REQUEST, "2"):  # the slot is free again
        pass
    assert admission.standing(REQUEST.principal)[0].remaining == 1000 - charged  # nobody said how it ended


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.12, "120ms"),
        (1, "1s"),
        (59.6, "1m0s"),
        (360, "6m0s"),
        (86399, "23h59m59s"),
        (3600, "1h0m0s"),
    ],
)
def test_durations_as_openai_writes_them(seconds: float, text: str):
    assert duration(seconds) == text


async def test_headers_tell_the_limit_that_is_nearest():
    clock = Clock()
    limiter = Limiter(Counting(clock), clock)
    scopes = _scope(requests_per_minute=60, tokens_per_minute=1000, tokens_per_day=2000)
    await _passed(limiter, scopes, 6, tokens=100)
    assert dict(headers(limiter.standing(scopes))) == {
        b"x-ratelimit-limit-requests": b"60",
        b"x-ratelimit-remaining-requests": b"54",
        b"x-ratelimit-reset-requests": b"6s",
        b"x-ratelimit-limit-tokens": b"1000",
        b"x-ratelimit-remaining-tokens": b"400",
        b"x-ratelimit-reset-tokens": b"36s",
    }
