"""From scores, of which some may be missing, to the order."""

from hypothesis import given
from hypothesis import strategies as st

from sluice_reranker.domain.settling import settled

_SCORES = st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=20)


def _order(*arguments: object, **named: object) -> list[int]:
    return [ranked.index for ranked in settled(*arguments, **named)]


def test_best_first_and_equals_as_given():
    assert _order([0.2, 0.9, 0.2, 0.9], 4) == [1, 3, 0, 2]


def test_what_was_not_scored_follows_in_the_order_given():
    assert _order([None, 0.1, None, 0.7], 6) == [3, 1, 0, 2, 4, 5]
    assert [ranked.score for ranked in settled([None, 0.1], 3)] == [0.1, 0.0, 0.0]


def test_nothing_scored_changes_nothing():
    assert _order([None, None], 4) == [0, 1, 2, 3]


def test_the_embedded_ranker_has_its_share():
    assert _order([0.6, 0.5], 2, [0.0, 1.0], 0.5) == [1, 0]
    assert [round(ranked.score, 6) for ranked in settled([0.6, 0.5], 2, [0.0, 1.0], 0.5)] == [0.75, 0.3]
    assert _order([0.6, 0.5], 2, [0.0, 1.0], 0.01) == [0, 1]


@given(_SCORES, st.integers(0, 5))
def test_every_candidate_once_and_scores_0_to_1_falling(scores: list[float | None], more: int):
    ranked = settled(scores, len(scores) + more)
    assert sorted(entry.index for entry in ranked) == list(range(len(scores) + more))
    assert all(0.0 <= entry.score <= 1.0 for entry in ranked)
    assert [entry.score for entry in ranked] == sorted((entry.score for entry in ranked), reverse=True)
