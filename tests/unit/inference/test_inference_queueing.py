"""Who of those that wait goes next."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sluice_inference.domain.routing.model import Ask
from sluice_inference.domain.routing.queueing import FairQueue, Pace, Priority, Ticket


def _ticket(tenant: str = "acme", priority: Priority = Priority.INTERACTIVE, adapter: str = "") -> Ticket:
    return Ticket(priority, tenant, Ask(adapter), 0.0)


def _all(queue: FairQueue) -> list[Ticket]:
    taken = []
    while (ticket := queue.take(lambda _: True)) is not None:
        taken.append(ticket)
    return taken


def test_more_urgent_ones_go_first_and_equals_as_they_came():
    queue = FairQueue(10)
    order = [Priority.BACKGROUND, Priority.INTERACTIVE, Priority.BATCH, Priority.INTERACTIVE]
    tickets = [_ticket(priority=priority) for priority in order]
    for ticket in tickets:
        assert queue.put(ticket, 1.0) is None
    assert queue.waiting(Priority.INTERACTIVE) == 2
    assert queue.ahead_of(tickets[2]) == 2
    assert _all(queue) == [tickets[1], tickets[3], tickets[2], tickets[0]]
    assert len(queue) == 0


def test_tenant_with_many_does_not_hold_up_one_with_few():
    queue = FairQueue(100)
    for _ in range(50):
        queue.put(_ticket("large"), 1.0)
    for _ in range(3):
        queue.put(_ticket("small"), 1.0)
    assert Counter(ticket.tenant for ticket in _all(queue)[:6]) == {"large": 3, "small": 3}


def test_dear_requests_count_for_what_they_cost():
    queue = FairQueue(100)
    for _ in range(20):
        queue.put(_ticket("dear"), 4.0)
        queue.put(_ticket("cheap"), 1.0)
    served = Counter(ticket.tenant for ticket in _all(queue)[:10])
    assert served["cheap"] >= 7


def test_newcomer_does_not_pay_for_having_been_away():
    queue = FairQueue(100)
    for _ in range(30):
        queue.put(_ticket("busy"), 1.0)
    for _ in range(20):
        queue.take(lambda _: True)
    queue.put(_ticket("late"), 1.0)
    assert "late" in [ticket.tenant for ticket in _all(queue)[:2]]


def test_full_queue_sends_away_the_last_in_order():
    queue = FairQueue(4)
    large = [_ticket("large") for _ in range(4)]
    for ticket in large:
        queue.put(ticket, 1.0)
    refused = _ticket("large")
    assert queue.put(refused, 1.0) is refused
    small = _ticket("small")
    assert queue.put(small, 1.0) is large[3]
    background = _ticket("other", Priority.BACKGROUND)
    assert queue.put(background, 1.0) is background
    assert _all(queue) == [large[0], small, large[1], large[2]]
    nobody = _ticket()
    assert FairQueue(0).put(nobody, 1.0) is nobody


def test_who_does_not_fit_keeps_the_place():
    queue = FairQueue(10)
    tickets = [_ticket(adapter=adapter) for adapter in ("x", "x", "y")]
    for ticket in tickets:
        queue.put(ticket, 1.0)
    assert queue.take(lambda ticket: ticket.ask.adapter == "y") is tickets[2]
    assert _all(queue) == tickets[:2]


def test_who_leaves_is_not_taken():
    queue = FairQueue(1000)
    tickets = [_ticket() for _ in range(500)]
    for ticket in tickets:
        queue.put(ticket, 1.0)
    for ticket in tickets[1:]:
        queue.leave(ticket)
        queue.leave(ticket)
    assert len(queue) == 1
    assert _all(queue) == tickets[:1]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(list(Priority)), st.booleans()), max_size=60)
)
def test_nothing_is_lost_or_taken_twice(steps: list[tuple[str, Priority, bool]]):
    queue, put, gone = FairQueue(8), [], []
    for tenant, priority, takes in steps:
        ticket = _ticket(tenant, priority)
        put.append(ticket)
        if (left := queue.put(ticket, 1.0)) is not None:
            gone.append(left)
        if takes and (taken := queue.take(lambda _: True)) is not None:
            gone.append(taken)
        assert len(queue) <= 8
    gone += _all(queue)
    assert sorted(map(id, gone)) == sorted(map(id, put))


def test_pace_is_measured_only_while_others_wait():
    pace = Pace()
    assert pace.seconds(3) is None
    for now in (1.0, 1.5, 2.0):
        pace.took(now)
    assert pace.seconds(4) == 2.0
    pace.rested()
    pace.took(100.0)
    assert pace.seconds(4) == 2.0
