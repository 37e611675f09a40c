"""The embedded ranker: what lifts a candidate, ties, deadlines."""

from hypothesis import given
from hypothesis import strategies as st

from sluice_reranker.domain.features import NAMES, Features
from sluice_reranker.domain.model import Candidate, Placed, Sentence
from sluice_reranker.domain.ranking import WEIGHTS, rank

QUESTION = "oil change of the press"


def _candidate(text: str, score: float = 0.5, title: str = "", **legs: float) -> Candidate:
    placed = {name: Placed(0, value) for name, value in legs.items()}
    return Candidate(title, text, score, placed, (Sentence(0, len(text), legs.get("dense", 0.0)),))


def _order(*candidates: Candidate) -> list[int]:
    return [ranked.index for ranked in rank(QUESTION, candidates, 0, lambda: True).best]


def test_weights_cover_all_features_and_add_up():
    assert set(WEIGHTS) == set(NAMES)
    assert abs(sum(WEIGHTS.values()) - 1.0) < 1e-9


def test_words_of_the_question_lift():
    assert _order(_candidate("The weather is fine."), _candidate("The press needs an oil change."))[0] == 1


def test_words_side_by_side_lift_over_words_apart():
    apart = _candidate("Oil is dear. A press is loud. Nothing will change.")
    assert _order(apart, _candidate("An oil change helps. A press is loud."))[0] == 1


def test_each_leg_lifts():
    for leg in ("dense", "sparse", "tokens"):
        assert _order(_candidate("Same text."), _candidate("Same text.", **{leg: 0.9}))[0] == 1


def test_title_lifts():
    assert _order(_candidate("Same text."), _candidate("Same text.", title="Oil change"))[0] == 1


def test_equals_keep_their_order():
    assert _order(*[_candidate("Same text.")] * 5) == [0, 1, 2, 3, 4]


def test_late_ranking_is_never_worse_than_none():
    candidates = [_candidate("The weather."), _candidate("Oil change of the press."), _candidate("Rain.")]
    left = iter([True, True, False])
    ranking = rank(QUESTION, candidates, 0, lambda: next(left))
    assert ranking.scored == 2
    assert [ranked.index for ranked in ranking.best] == [1, 0, 2]
    assert rank(QUESTION, candidates, 0, lambda: False).scored == 0


def test_top_k():
    assert len(rank(QUESTION, [_candidate("a")] * 9, 3, lambda: True).best) == 3
    assert rank(QUESTION, [], 3, lambda: True).best == ()


@given(
    st.lists(
        st.builds(
            _candidate,
            st.text(max_size=60),
            st.floats(0, 5),
            st.text(max_size=20),
            dense=st.floats(-1, 1),
            sparse=st.floats(0, 60),
            tokens=st.floats(-1, 1),
        ),
        max_size=8,
    ),
    st.text(max_size=40),
)
def test_features_and_scores_lie_between_0_and_1(candidates: list[Candidate], question: str):
    features = Features(question, candidates)
    for index in range(len(candidates)):
        assert all(0.0 <= value <= 1.0 for value in features.of(index))
    best = rank(question, candidates, 0, lambda: True).best
    assert sorted(ranked.index for ranked in best) == list(range(len(candidates)))
    assert all(0.0 <= ranked.score <= 1.0 for ranked in best)
