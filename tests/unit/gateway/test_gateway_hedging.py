"""A second attempt beside a slow first one."""

import asyncio
import json
from collections.abc import Callable

import pytest

from sluice_gateway.domain.budgets import Budgets, Share
from sluice_gateway.domain.hedging import hedged
from sluice_gateway.domain.model import Message, Principal, RunRequest
from sluice_gateway.domain.outcome import RunFailedError
from sluice_gateway.domain.run import EventKind, StepState
from sluice_servicekit.errors import NotFound, ServiceError, Unavailable
from support.run_bench import Bench

#: Short enough for an attempt that hangs to be late, long enough for one that answers at once never to be.
SOON, NEVER = 0.001, 60.0


def _request() -> RunRequest:
    return RunRequest("default", Principal("acme"), (Message("user", "How long?"),))


def _bench(step: str = "retrieve", after: float = SOON, **policy: object) -> Bench:
    return Bench(policies={step: {"hedge_after": after, **policy}})


def _attempts(bench: Bench, step: str) -> list[tuple[int, str, str]]:
    ended = [e for e in bench.journal.events if e.step == step and e.kind is EventKind.STEP_ENDED]
    return [(event.attempt, event.state, event.reason) for event in ended]


def _detail(bench: Bench, name: str) -> dict[str, object]:
    return next(json.loads(step.detail) for step in bench.record.steps if step.name == name)


@pytest.mark.parametrize("step", ["retrieve", "rerank"])
async def test_second_attempt_wins_over_one_that_hangs_and_both_are_in_the_journal(step: str):
    bench = _bench(step)
    bench.world.hangs[step] = {0}
    result = await bench.executor().admit(_request()).result()
    assert (result.state, bench.world.calls.count(step)) == ("answered", 2)
    assert _attempts(bench, step) == [(1, "cancelled", "HEDGE_LOST"), (2, "succeeded", "")]
    assert bench.states[step] is StepState.SUCCEEDED
    assert _detail(bench, step)["hedge"] == {"after_ms": 1, "won": "second"}


async def test_attempt_in_time_is_not_hedged():
    bench = _bench(after=NEVER)
    await bench.executor().admit(_request()).result()
    assert bench.world.calls.count("retrieve") == 1
    assert "hedge" not in _detail(bench, "retrieve")


async def test_nothing_is_hedged_where_the_budget_is_used_up():
    budgets = Budgets(hedges=Share(0.05, 0.0, 0.0), clock=lambda: 0.0)
    bench = _bench(timeout=0.02)
    bench.budgets = budgets
    bench.world.hangs["retrieve"] = {0}
    with pytest.raises(RunFailedError):
        await bench.executor().admit(_request()).result()
    assert bench.world.calls.count("retrieve") == 1


async def test_hedge_that_fails_leaves_the_first_attempt_its_chance():
    ends = asyncio.Event()
    bench = _bench()
    bench.world.hangs["retrieve"] = set()
    world_step, calls = bench.world.step, []

    async def step(name: str) -> None:
        if name != "retrieve":
            return await world_step(name)
        calls.append(name)
        if len(calls) == 1:
            await ends.wait()
            return None
        ends.set()
        raise Unavailable("gone")

    bench.world.step = step
    result = await bench.executor().admit(_request()).result()
    assert result.state == "answered"
    assert _attempts(bench, "retrieve") == [(2, "failed", "UNAVAILABLE"), (1, "succeeded", "")]
    assert _detail(bench, "retrieve")["hedge"]["won"] == "first"


async def test_what_is_wrong_is_not_waited_for():
    bench = _bench()
    bench.world.hangs["retrieve"] = {0}
    bench.world.fail["retrieve"] = [NotFound("no such base")]
    with pytest.raises(RunFailedError) as raised:
        await bench.executor().admit(_request()).result()
    assert raised.value.error.reason == "NOT_FOUND"
    assert _attempts(bench, "retrieve") == [(1, "cancelled", "HEDGE_LOST"), (2, "failed", "NOT_FOUND")]


async def test_pair_that_fails_is_tried_again():
    bench = _bench(after=NEVER)
    bench.world.fail["retrieve"] = [Unavailable("gone")]
    await bench.executor().admit(_request()).result()
    assert _attempts(bench, "retrieve") == [(1, "failed", "UNAVAILABLE"), (2, "succeeded", "")]


async def test_caller_who_leaves_cancels_both():
    bench = _bench()
    bench.world.hangs["retrieve"] = {0, 1}
    both, world_step = asyncio.Event(), bench.world.step

    async def step(name: str) -> None:
        if name == "retrieve" and name in bench.world.calls:
            both.set()
        await world_step(name)

    bench.world.step = step
    running = asyncio.create_task(bench.executor().admit(_request()).result())
    async with asyncio.timeout(5):
        await both.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [row[1] for row in _attempts(bench, "retrieve")] == ["cancelled", "cancelled"]
    assert bench.record.state == "cancelled"


def _raising(error: Exception) -> Callable[[], None]:
    async def attempt() -> None:
        raise error

    return attempt


async def test_both_that_fail_raise_the_last_failure():
    failures = iter([Unavailable("first"), Unavailable("second")])
    started = asyncio.Event()

    async def attempt() -> None:
        error = next(failures)
        if error.message == "first":
            await started.wait()
        started.set()
        raise error

    seen: list[ServiceError] = []
    with pytest.raises(Unavailable):
        await hedged(attempt, SOON, may=lambda: True, waits=lambda e: seen.append(e) or True)
    assert len(seen) == 1


async def test_attempt_that_fails_before_it_is_late_is_not_hedged():
    with pytest.raises(Unavailable):
        await hedged(
            _raising(Unavailable("gone")),
            NEVER,
            may=lambda: pytest.fail("must not be asked"),
            waits=lambda _: True,
        )
