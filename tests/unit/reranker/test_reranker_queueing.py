"""Whose passages are read next: turns, deadlines, deaths. No clock but the test's."""

import numpy as np

from sluice_reranker.batching.pace import Pace
from sluice_reranker.batching.pairs import Pair
from sluice_reranker.batching.queueing import BATCH_PAIRS, BATCH_SECONDS, Job, Piece, Queue
from sluice_reranker.domain.model import Question
from sluice_servicekit.errors import Internal

DEAD = Internal("dead", reason="RANKER_DIED")


def _queue(seconds_per_pair: float = 0.0) -> Queue:
    """Of pairs that are all of one length and take so long, deviations counted in."""
    queue = Queue(Pace(), 512)
    if seconds_per_pair:
        tokens = _pairs(1)[0].tokens(512)
        for _ in range(200):  # until the deviation has gone
            queue.pace.note(seconds_per_pair, tokens)
    return queue


def _pairs(count: int) -> list[Pair]:
    question = Question("a question")
    return [Pair(question, f"passage {index:04}") for index in range(count)]


class Added:
    """A job, and whether it was told that nothing more comes."""

    def __init__(self, queue: Queue, count: int, until: float | None = None) -> None:
        self.settled = 0
        self.job: Job = queue.add(_pairs(count), 0.0, until, self._settle)

    def _settle(self) -> None:
        self.settled += 1


def _indices(pieces: list[Piece], added: Added) -> list[int]:
    return [piece.index for piece in pieces if piece.job is added.job]


def test_one_request_has_its_first_candidates_read_first():
    queue = _queue(0.004)
    one = Added(queue, 12)
    assert [_indices(queue.take(0.0), one) for _ in range(3)] == [
        [0, 1, 2, 3, 4],
        [5, 6, 7, 8, 9],
        [10, 11],
    ]
    assert queue.take(0.0) == []


def test_what_is_taken_together_is_bounded_in_time_and_number():
    quick, slow = _queue(0.0001), _queue(0.5)
    Added(quick, 100)
    Added(slow, 3)
    assert len(quick.take(0.0)) == BATCH_PAIRS
    assert len(slow.take(0.0)) == 1  # a slow pair is read anyway
    assert 0.004 * 5 <= BATCH_SECONDS < 0.004 * 6


def test_requests_take_turns_so_that_a_large_one_starves_none():
    queue = _queue(0.004)
    large, small = Added(queue, 1000), Added(queue, 3)
    first, second = queue.take(0.0), queue.take(0.0)
    assert _indices(first, small) + _indices(second, small) == [0, 1, 2]
    queue.read(first, [0.5] * len(first))
    queue.read(second, [0.5] * len(second))
    assert (small.settled, large.settled) == (1, 0)


def test_what_cannot_be_read_in_time_is_not_begun():
    queue = _queue(0.004)
    one = Added(queue, 10, until=0.011)
    taken = queue.take(0.0)
    assert _indices(taken, one) == [0, 1]  # a third one would come at 0.012
    assert one.settled == 0
    queue.read(taken, [0.9, 0.8])
    assert queue.take(0.0085) == []
    assert (one.settled, one.job.late) == (1, True)
    assert one.job.relevance[:3] == [0.9, 0.8, None]


def test_a_request_that_comes_too_late_is_told_at_once():
    queue = _queue(0.004)
    late = Added(queue, 2, until=0.001)
    assert queue.take(0.0) == []
    assert (late.settled, late.job.relevance) == (1, [None, None])


def test_no_request_makes_another_one_late():
    """What is read together comes together: who has little time is not read with much."""
    queue = _queue(0.004)
    hasty = Added(queue, 2, until=0.0045)
    patient = Added(queue, 4)
    first = queue.take(0.0)
    assert _indices(first, hasty) == [0]
    assert _indices(first, patient) == []


def test_where_nothing_is_known_about_the_pace_reading_begins():
    queue = _queue()
    assert len(Added(queue, 2, until=0.001).job.pairs) == len(queue.take(0.0))


def test_a_request_whose_caller_has_left_is_not_read_on():
    queue = _queue(0.004)
    gone, other = Added(queue, 10), Added(queue, 3)
    begun = queue.take(0.0)
    queue.remove(gone.job)
    rest = queue.take(0.0)
    assert _indices(rest, gone) == []
    queue.read(begun, [0.5] * len(begun))
    queue.read(rest, [0.5] * len(rest))
    assert (gone.settled, other.settled) == (0, 1)
    assert queue.jobs == 0


def test_what_a_worker_has_died_over_is_read_once_more_each_by_itself():
    queue = _queue(0.004)
    one, other = Added(queue, 2), Added(queue, 2)
    taken = queue.take(0.0)
    assert len(taken) == 4
    queue.died(taken, DEAD)
    again = [queue.take(0.0) for _ in range(4)]
    assert [len(pieces) for pieces in again] == [1, 1, 1, 1]
    for pieces in again:
        queue.read(pieces, [0.5])
    assert (one.settled, other.settled) == (1, 1)
    assert one.job.failure is None


def test_only_the_request_to_blame_gives_up_and_keeps_what_it_has():
    queue = _queue(0.004)
    guilty, other = Added(queue, 2), Added(queue, 2)
    queue.died(queue.take(0.0), DEAD)
    while pieces := queue.take(0.0):
        [piece] = pieces
        if piece.job is guilty.job and piece.index == 1:
            queue.died(pieces, DEAD)
        else:
            queue.read(pieces, [0.5])
    assert (guilty.settled, other.settled) == (1, 1)
    assert guilty.job.failure is DEAD
    assert guilty.job.relevance == [0.5, None]
    assert other.job.failure is None
    assert other.job.relevance == [0.5, 0.5]


def test_a_model_that_fails_ends_the_requests_it_was_asked_for():
    queue = _queue(0.004)
    one, other = Added(queue, 30), Added(queue, 1)
    queue.read(queue.take(0.0), [0.5] * 5)
    queue.failed(queue.take(0.0), DEAD)
    assert (one.settled, other.settled) == (1, 1)
    assert one.job.failure is DEAD
    assert other.job.failure is None
    assert queue.jobs == 0


def test_the_pace_follows_what_is_measured_and_forgives_one_stall():
    pace = Pace(0.001)
    for _ in range(100):
        pace.note(0.02, 10)
    assert np.isclose(pace.seconds(10), 0.02, rtol=0.05)
    pace.note(60.0, 10)
    assert pace.seconds(10) < 0.1
    for _ in range(100):
        pace.note(0.02, 10)
    assert np.isclose(pace.seconds(10), 0.02, rtol=0.05)


def test_a_pace_that_varies_is_counted_on_with_a_margin():
    steady, varying = Pace(), Pace()
    for turn in range(200):
        steady.note(0.02, 10)
        varying.note(0.01 if turn % 2 else 0.03, 10)
    assert varying.seconds(10) > 1.5 * steady.seconds(10)
