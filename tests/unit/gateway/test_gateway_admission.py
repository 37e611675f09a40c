"""Which runs may start: the learnt limit, priorities, shares, deadlines. In simulated time."""

import gc
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_gateway.domain.admission.admission import Admission
from sluice_gateway.domain.admission.gradient import GradientLimit, Seen
from sluice_gateway.domain.admission.priority import Priority, asked_for
from sluice_gateway.domain.model import Message, Principal, RunRequest, Usage
from sluice_gateway.domain.observing import EndedRun
from sluice_gateway.domain.run import RunState
from sluice_servicekit.errors import DeadlineExceeded, InvalidArgument, ResourceExhausted
from support.queueing import Asked, Load, Simulation

REQUEST = RunRequest("default", Principal("acme"), (Message("user", "How long?"),))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def _served(asked: list[Asked], start: float, tenant: str = "") -> float:
    """The part of runs that were let in."""
    counted = [one for one in asked if one.at >= start and tenant in ("", one.load.tenant)]
    return sum(not one.refused for one in counted) / len(counted)


@settings(max_examples=6)
@given(
    workers=st.integers(8, 32),
    service=st.sampled_from([0.05, 0.3, 2.0]),
    seed=st.integers(0, 2**16),
)
def test_spike_of_three_times_capacity_is_served_at_capacity_quickly_and_fairly(
    workers: int, service: float, seed: int
):
    capacity = workers / service
    spike = 100 * service
    end = spike + max(80 * service, 6.0)
    settled = spike + max(20 * service, 3.0)
    simulation = Simulation(workers, service, seed)
    asked = simulation.run(
        [
            Load("large", 0.5 * capacity, 0, spike),
            Load("large", 2.7 * capacity, spike, end),
            Load("one", 0.15 * capacity, spike, end),
            Load("other", 0.15 * capacity, spike, end),
        ]
    )
    assert _served([one for one in asked if one.at < spike], 0) > 0.99
    times = sorted(one.seconds for one in asked if one.seconds is not None and settled <= one.at < end)
    ended = sum(one.seconds is not None and settled <= one.at + one.seconds < end for one in asked)
    assert ended / (end - settled) > 0.85 * capacity
    assert times[int(len(times) * 0.99)] < 6 * service
    assert _served(asked, settled, "one") > 0.7
    assert _served(asked, settled, "other") > 0.7
    assert _served(asked, settled, "large") < 0.4


def test_cold_start_in_the_middle_of_a_spike_finds_what_no_load_is():
    simulation = Simulation(workers=8, service=0.05, seed=3)
    asked = simulation.run([Load("large", 3 * 160, 0, 30)])
    times = sorted(one.seconds for one in asked if one.seconds is not None and one.at > 15)
    assert times[int(len(times) * 0.99)] < 6 * 0.05
    assert len(times) / 15 > 0.85 * 160


def test_service_that_is_idle_is_not_limited_because_its_runs_differ():
    simulation = Simulation(workers=400, service=4.0, seed=1, sigma=0.8)
    asked = simulation.run([Load("large", 30, 0, 600)])
    assert _served(asked, 0) > 0.8  # until the limit has grown
    assert _served(asked, 150) > 0.99


def test_model_that_is_slower_from_now_on_is_not_taken_for_load():
    simulation = Simulation(workers=400, service=1.0, seed=2)
    simulation.becomes(3.0, at=60)
    asked = simulation.run([Load("large", 30, 0, 600)])
    assert _served([one for one in asked if one.at < 60], 20) > 0.99
    assert _served(asked, 300) > 0.95


def test_urgent_runs_go_first():
    simulation = Simulation(workers=20, service=0.1, seed=5)
    loads = [Load("t", 400, 0, 30, Priority.BATCH), Load("t", 400, 0, 30, Priority.BACKGROUND)]
    asked = simulation.run([*loads, Load("t", 100, 0, 30)])
    served = {
        priority: _served([one for one in asked if one.load.priority is priority], 5) for priority in Priority
    }
    assert served[Priority.INTERACTIVE] > 0.97
    assert served[Priority.INTERACTIVE] > served[Priority.BATCH] > 3 * served[Priority.BACKGROUND]


def test_places_that_nobody_else_wants_may_all_be_one_tenants():
    admission = Admission(8, lowest=8)
    tickets = [admission.admit(REQUEST, str(number)) for number in range(8)]
    with pytest.raises(ResourceExhausted) as raised:
        admission.admit(REQUEST, "9")
    assert (raised.value.reason, admission.in_flight) == ("TOO_MANY_RUNS", 8)
    assert 1.0 <= raised.value.retry_after <= 3.0
    del tickets


def test_tenant_that_asks_again_finds_a_place_though_another_wants_them_all():
    admission = Admission(10, lowest=10)
    other = replace(REQUEST, principal=Principal("other"))
    tickets = [admission.admit(other, "first")]
    tickets.extend(admission.admit(REQUEST, str(number)) for number in range(8))
    with pytest.raises(ResourceExhausted, match="of this tenant"):
        admission.admit(REQUEST, "one too many")
    assert admission.in_flight == 9
    tickets.append(admission.admit(other, "second"))
    assert admission.in_flight == 10


def test_run_that_cannot_end_in_time_is_refused_at_once():
    clock = Clock()
    admission = Admission(64, clock=clock)
    for number in range(41):
        with admission.admit(REQUEST, str(number)):
            clock.now += 2.0
            admission.run_ended(_ended(str(number)))
    with pytest.raises(DeadlineExceeded) as raised:
        admission.admit(REQUEST, "late", 1.9)
    assert raised.value.reason == "DEADLINE_TOO_SHORT"
    admission.admit(REQUEST, "just", 2.1)
    admission.admit(replace(REQUEST, pipeline="of which nothing is known"), "unknown", 0.1)


def _ended(run_id: str, state: RunState = RunState.ANSWERED, usage: Usage | None = None) -> EndedRun:
    return EndedRun(run_id, Principal("acme"), "default", "1", state, "", 1.0, usage or Usage(9, 9))


def test_run_that_never_begins_leaves_its_place():
    admission = Admission(1)
    admission.admit(REQUEST, "dropped")
    gc.collect()
    with admission.admit(REQUEST, "next"):
        assert admission.in_flight == 1
    assert admission.in_flight == 0


def test_answers_that_nobody_generated_teach_nothing():
    clock = Clock()
    admission = Admission(64, clock=clock)
    for number in range(100):
        with admission.admit(REQUEST, str(number)):
            clock.now += 0.001 if number % 2 else 1.0
            admission.run_ended(_ended(str(number), usage=Usage() if number % 2 else Usage(9, 9)))
    with pytest.raises(DeadlineExceeded):
        admission.admit(REQUEST, "late", 0.5)


def test_limit_backs_off_where_runs_fail_for_want_of_capacity():
    limit = GradientLimit(8, 256, 100)
    limit.update(Seen(1.0, 90, failures=0.5))
    assert limit.current == 80


def test_limit_grows_quickly_at_first_and_slowly_once_it_has_been_too_high():
    limit = GradientLimit(8, 1000, 32)
    limit.update(Seen(1.0, 32))
    assert limit.current == 48
    limit.update(Seen(4.0, 48))
    before = limit.current
    limit.update(Seen(1.0, before))
    assert before < limit.current < before * 1.3


def test_what_chance_makes_slower_does_not_shrink_the_limit():
    limit = GradientLimit(8, 256, 16)
    limit.update(Seen(2.2, 16, error=0.5))
    before = limit.current
    assert before >= 16
    limit.update(Seen(2.2, before, error=0.0))
    assert limit.current < before


def test_limit_is_soon_what_it_was_once_runs_no_longer_fail():
    limit = GradientLimit(8, 256, 100)
    for _ in range(20):
        limit.update(Seen(1.0, limit.current, failures=1.0))
    assert limit.current == 8
    for _ in range(10):
        limit.update(Seen(1.0, limit.current))
    assert limit.current > 100


def test_limit_that_nobody_needs_does_not_grow():
    limit = GradientLimit(8, 256, 100)
    for _ in range(100):
        limit.update(Seen(1.0, 20))
    assert limit.current == 100


def test_limit_stays_between_its_ends():
    limit = GradientLimit(8, 64, 16)
    for _ in range(200):
        limit.update(Seen(1.0, limit.current))
        assert 8 <= limit.limit <= 64
    for _ in range(200):
        limit.update(Seen(50.0, limit.current))
        assert 8 <= limit.limit <= 64
    assert limit.current < 20


@pytest.mark.parametrize(
    ("given_", "highest", "gets"),
    [
        (None, Priority.BATCH, Priority.BATCH),
        ("", Priority.INTERACTIVE, Priority.INTERACTIVE),
        ("Background", Priority.BATCH, Priority.BACKGROUND),
        ("interactive", Priority.BATCH, Priority.BATCH),
    ],
)
def test_caller_may_be_less_urgent_never_more(given_: str | None, highest: Priority, gets: Priority):
    assert asked_for(given_, highest) is gets


def test_priority_that_is_none_is_refused():
    with pytest.raises(InvalidArgument, match="interactive, batch, background"):
        asked_for("urgent", Priority.INTERACTIVE)
