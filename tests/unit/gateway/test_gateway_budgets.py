"""The budgets of retries and hedges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_gateway.domain.budgets import HEDGES, RETRIES, Budgets, Share
from sluice_gateway.domain.model import Message, Principal, RunRequest
from sluice_servicekit.errors import Unavailable
from support.run_bench import Bench


def _still(share: Share) -> Budgets:
    """Budgets for which no time passes."""
    return Budgets(retries=share, hedges=share, clock=lambda: 0.0)


@given(
    st.lists(st.booleans(), max_size=300),
    st.floats(0.01, 1.0),
    st.floats(0.0, 20.0),
)
def test_retries_never_exceed_reserve_and_share(asks: list[bool], ratio: float, reserve: float):
    budgets = _still(Share(ratio, 0.0, reserve))
    first = further = 0
    for is_first in asks:
        if is_first:
            budgets.asked("retrieve")
            first += 1
        else:
            further += budgets.may_retry("retrieve")
    assert further <= reserve + ratio * first + 1e-6


def test_ten_requests_allow_a_retry():
    budgets = _still(Share(0.1, 0.0, 1.0))
    assert budgets.may_retry("retrieve")
    for _ in range(9):
        budgets.asked("retrieve")
        assert not budgets.may_retry("retrieve")
    budgets.asked("retrieve")
    assert budgets.may_retry("retrieve")


def test_services_that_are_asked_seldom_may_be_asked_again_as_time_passes():
    now = 0.0
    budgets = Budgets(retries=Share(0.1, per_second=2.0, reserve=3.0), clock=lambda: now)
    assert [budgets.may_retry("rerank") for _ in range(4)] == [True, True, True, False]
    now = 0.5
    assert [budgets.may_retry("rerank") for _ in range(2)] == [True, False]
    now = 100.0
    assert [budgets.may_retry("rerank") for _ in range(4)] == [True, True, True, False]


def test_each_target_has_its_own_and_hedges_are_no_retries():
    budgets = _still(Share(0.1, 0.0, 1.0))
    assert budgets.may_retry("retrieve")
    assert budgets.may_retry("rerank")
    assert budgets.may_hedge("retrieve")
    assert not budgets.may_retry("retrieve")
    assert not budgets.may_hedge("retrieve")


def test_defaults_are_what_the_documentation_says():
    assert (RETRIES.ratio, RETRIES.per_second, RETRIES.reserve) == (0.1, 10.0, 100.0)
    assert (HEDGES.ratio, HEDGES.per_second, HEDGES.reserve) == (0.05, 0.0, 2.0)


async def test_brown_out_is_not_multiplied_over_runs_and_the_journal_says_why():
    bench = Bench(retries=5, budgets=_still(Share(0.1, 0.0, 3.0)))
    executor = bench.executor()
    bench.world.fail["rerank"] = [Unavailable("gone")] * 100
    for _ in range(8):
        result = await executor.admit(_request()).result()
        assert result.state == "degraded"
    assert bench.world.calls.count("rerank") == 8 + 3
    reasons = [event.reason for event in bench.journal.events if event.step == "rerank" and event.reason]
    assert reasons.count("UNAVAILABLE") == 3
    assert reasons.count("UNAVAILABLE (RETRY_BUDGET_EXHAUSTED)") == 8
    ends = [event.reason for event in bench.journal.events if event.kind == "run_ended"]
    assert set(ends) == {"rerank: UNAVAILABLE"}  # the error as it is


@pytest.mark.parametrize("step", ["retrieve", "generate", "guard_output"])
async def test_budget_of_one_step_is_not_that_of_another(step: str):
    budgets = _still(Share(0.1, 0.0, 1.0))
    assert budgets.may_retry("rerank")
    bench = Bench(budgets=budgets)
    bench.world.fail[step] = [Unavailable("gone")]
    assert (await bench.executor().admit(_request()).result()).state == "answered"


def _request() -> RunRequest:
    return RunRequest("default", Principal("acme"), (Message("user", "How long?"),))
