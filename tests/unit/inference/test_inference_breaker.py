"""When a replica is left alone, and when a request is sent again."""

import pytest

from sluice_inference.domain.routing.breaker import Breaker
from sluice_inference.domain.routing.model import Standing
from sluice_inference.domain.routing.retrying import Failure, RetryBudget, failure


def _failed(breaker: Breaker, times: int, now: float = 0.0, *, may_open: bool = True) -> Breaker:
    for _ in range(times):
        breaker = breaker.failed(now, 0.5, may_open=may_open)
    return breaker


def test_failures_in_a_row_open_it():
    assert _failed(Breaker(), 4).standing(0.0) is Standing.CLOSED
    assert _failed(Breaker(), 5).standing(0.0) is Standing.OPEN
    assert _failed(_failed(Breaker(), 3).succeeded(), 3).standing(0.0) is Standing.CLOSED


@pytest.mark.parametrize(("failing", "standing"), [(2, Standing.OPEN), (1, Standing.CLOSED)])
def test_failing_of_most_requests_opens_it_too(failing: int, standing: Standing):
    breaker = Breaker()
    for _ in range(60):  # a success between them, or two
        breaker = _failed(breaker, failing)
        for _ in range(3 - failing):
            breaker = breaker.succeeded()
    assert breaker.standing(0.0) is standing


def test_one_request_is_let_through_then_all_or_none():
    breaker = _failed(Breaker(), 5)
    assert breaker.standing(0.9) is Standing.OPEN
    assert breaker.standing(1.0) is Standing.PROBE
    probing = breaker.sent()
    assert probing.standing(1.0) is Standing.OPEN
    assert probing.succeeded().standing(1.0) is Standing.CLOSED
    again = probing.failed(1.0, 0.5, may_open=True)
    assert [again.standing(now) for now in (2.9, 3.0)] == [Standing.OPEN, Standing.PROBE]
    # One that was sent before it opened closes nothing.
    assert breaker.succeeded().standing(0.0) is Standing.OPEN
    # A probe whose caller leaves says nothing.
    assert probing.left().standing(1.0) is Standing.PROBE


def test_time_that_it_stays_open_is_bounded_and_spread():
    breaker = Breaker()
    for _ in range(30):
        breaker = breaker.failed(0.0, 0.5, may_open=True)
    assert breaker.until == 30.0
    assert _failed(Breaker(), 4).failed(0.0, 0.0, may_open=True).until == 0.5
    assert _failed(Breaker(), 4).failed(0.0, 1.0, may_open=True).until == 1.5


def test_it_only_counts_where_too_many_others_are_open():
    breaker = _failed(Breaker(), 20, may_open=False)
    assert breaker.standing(0.0) is Standing.CLOSED
    assert _failed(breaker, 1).standing(0.0) is Standing.OPEN


def test_budget_is_a_part_of_all_requests():
    budget = RetryBudget(part=0.25, most=2.0)
    assert [budget.spend() for _ in range(3)] == [True, True, False]
    for _ in range(4):
        budget.earn()
    assert [budget.spend() for _ in range(2)] == [True, False]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("UPSTREAM_UNREACHABLE", Failure.LOST),
        ("UPSTREAM_BUSY", Failure.BUSY),
        ("UPSTREAM_AUTH", Failure.REFUSED),
        ("DEADLINE_EXCEEDED", Failure.REFUSED),
    ],
)
def test_reasons_say_whose_fault_it_is(reason: str, expected: Failure):
    assert failure(reason) is expected
