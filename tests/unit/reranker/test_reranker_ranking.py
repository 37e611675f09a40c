"""The embedded ranker: what lifts a candidate, ties, deadlines, what no caller should send."""

import math
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_reranker.domain.features import NAMES, OF_THE_SET, matrix
from sluice_reranker.domain.model import Candidate, Placed, Sentence
from sluice_reranker.domain.ranking import explain, rank
from sluice_reranker.domain.reading import Read
from sluice_reranker.domain.weights import SHIPPED, Weights

QUESTION = "oil change of the press"
PLAIN = "Something else entirely."


def _candidate(text: str, score: float = 0.5, title: str = "", **legs: float) -> Candidate:
    placed = {name: Placed(0, value) for name, value in legs.items()}
    return Candidate(title, text, score, placed, (Sentence(0, len(text), legs.get("dense", 0.0)),))


def _order(*candidates: Candidate) -> list[int]:
    return [ranked.index for ranked in rank(QUESTION, candidates, 0, lambda: True).best]


def _features(question: str, *candidates: Candidate) -> dict[str, list[float]]:
    rows = matrix(question, candidates, [Read.of(candidate) for candidate in candidates])
    return {name: rows[:, number].tolist() for number, name in enumerate(NAMES)}


CANDIDATES = st.lists(
    st.builds(
        _candidate,
        st.text(max_size=60)
        | st.sampled_from(["oil change", "The press. Oil!", "change oil press oil change"]),
        st.floats(0, 5),
        st.text(max_size=20) | st.just("The press"),
        dense=st.floats(-1, 1),
        sparse=st.floats(0, 60),
        tokens=st.floats(-1, 1),
    ),
    max_size=8,
)


def test_words_of_the_question_lift():
    assert _order(_candidate(PLAIN), _candidate("The press needs an oil change."))[0] == 1


def test_words_side_by_side_lift_over_words_apart():
    apart = _candidate("Oil is dear. A press is loud. Nothing will change.")
    assert _order(apart, _candidate("An oil change helps. A press is loud."))[0] == 1


@pytest.mark.parametrize("leg", ["dense", "sparse", "tokens"])
def test_each_leg_lifts(leg: str):
    assert _order(_candidate("Same text."), _candidate("Same text.", **{leg: 0.9}))[0] == 1


def test_what_retrieval_liked_and_a_near_sentence_lift():
    assert _order(_candidate("Same text."), _candidate("Same text.", score=0.9))[0] == 1
    far, near = (Candidate("", "Same text.", 0.5, {}, (Sentence(0, 10, value),)) for value in (0.2, 0.7))
    assert _order(far, near)[0] == 1


def test_title_lifts():
    assert _order(_candidate("Same text."), _candidate("Same text.", title="Oil change"))[0] == 1


def test_equals_keep_their_order():
    assert _order(*[_candidate("Same text.")] * 5) == [0, 1, 2, 3, 4]


def test_no_feature_that_orders_speaks_against_a_candidate():
    assert all(SHIPPED.by_feature[name] >= 0 for name in NAMES)


def test_rare_words_tell_more_than_common_ones():
    common = [_candidate("Oil, always oil.") for _ in range(8)]
    coverage = _features(QUESTION, *common, _candidate("The press."))["coverage"]
    assert coverage[-1] > coverage[0] > 0


def test_words_have_to_follow_each_other_as_they_were_asked():
    ordered = _features(QUESTION, _candidate("An oil change."), _candidate("Change oil."), _candidate(PLAIN))[
        "ordered"
    ]
    assert ordered[0] > 0
    assert ordered[1:] == [0, 0]


def test_words_of_one_candidate_are_no_neighbours_of_the_next():
    features = _features(QUESTION, _candidate("There is oil"), _candidate("change comes"), _candidate(PLAIN))
    assert features["ordered"] == features["closeness"] == [0, 0, 0]


def test_candidate_that_a_leg_did_not_find_is_below_those_it_found():
    found = [_candidate("x", sparse=value) for value in (9.0, 5.0, 3.0)]
    shares = _features(QUESTION, *found, _candidate("x"))["sparse_z"]
    assert shares == sorted(set(shares), reverse=True)


def test_late_ranking_is_never_worse_than_none():
    candidates = [_candidate("The weather."), _candidate("Oil change of the press."), _candidate("Rain.")]
    left = iter([True, True, False])
    ranking = rank(QUESTION, candidates, 0, lambda: next(left))
    assert ranking.scored == 2
    assert [ranked.index for ranked in ranking.best] == [1, 0, 2]
    assert ranking.best[2].score == 0
    assert rank(QUESTION, candidates, 0, lambda: False).scored == 0


def test_top_k():
    assert len(rank(QUESTION, [_candidate("a")] * 9, 3, lambda: True).best) == 3
    assert rank(QUESTION, [], 3, lambda: True).best == ()


def test_what_answers_scores_more_than_the_best_of_what_does_not():
    good = [_candidate("An oil change of the press.", dense=0.8), _candidate(PLAIN, dense=0.2)]
    bad = [_candidate("The weather.", dense=0.3), _candidate(PLAIN, dense=0.2)]
    one, other = (rank(QUESTION, candidates, 1, lambda: True).best[0].score for candidates in (good, bad))
    assert one > other


@given(CANDIDATES, st.text(max_size=40) | st.just(QUESTION))
def test_features_and_scores_lie_between_0_and_1(candidates: list[Candidate], question: str):
    if candidates:
        for values in _features(question, *candidates).values():
            assert all(0.0 <= value <= 1.0 for value in values)
    best = rank(question, candidates, 0, lambda: True).best
    assert sorted(ranked.index for ranked in best) == list(range(len(candidates)))
    assert all(0.0 <= ranked.score <= 1.0 for ranked in best)


@given(CANDIDATES, st.randoms(use_true_random=False))
def test_order_given_changes_no_score(candidates: list[Candidate], shuffling):
    order = list(range(len(candidates)))
    shuffling.shuffle(order)
    given_order = {ranked.index: ranked.score for ranked in rank(QUESTION, candidates, 0, lambda: True).best}
    shuffled = rank(QUESTION, [candidates[index] for index in order], 0, lambda: True).best
    for ranked in shuffled:
        assert ranked.score == pytest.approx(given_order[order[ranked.index]], abs=1e-9)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, 3e38, -3e38, -1.0])
def test_scores_that_are_none_break_nothing(score: float):
    odd = Candidate(
        "",
        "Oil.",
        score,
        {leg: Placed(0, score) for leg in ("dense", "sparse", "tokens")},
        (Sentence(0, 4, score),),
    )
    best = rank(QUESTION, [odd, _candidate("The press."), odd], 0, lambda: True).best
    assert len(best) == 3
    assert all(0.0 <= ranked.score <= 1.0 for ranked in best)


@pytest.mark.parametrize(
    ("question", "texts"),
    [
        (QUESTION, [""] * 3),
        ("?!", ["...", "the of and"]),
        ("the of and", ["the of and", ""]),
        ("oil " * 5000, ["oil " * 50_000, "x" * 200_000]),
        (" ".join(f"word{number}" for number in range(3000)), ["word7 word8", "word2999"]),
        (QUESTION, [f"Oil change number {number} of the press." for number in range(1000)]),
    ],
    ids=["empty", "signs", "stop words", "long", "many words", "a thousand"],
)
def test_odd_texts_are_ranked(question: str, texts: list[str]):
    candidates = [Candidate("", text, 1.0) for text in texts]
    best = rank(question, candidates, 0, lambda: True).best
    assert sorted(ranked.index for ranked in best) == list(range(len(texts)))
    assert all(0.0 <= ranked.score <= 1.0 for ranked in best)


def test_time_is_asked_before_each_candidate_is_read():
    asked = count()
    ranking = rank(QUESTION, [_candidate("Oil.")] * 100, 10, lambda: next(asked) < 20)
    assert ranking.scored == 20
    assert len(ranking.best) == 10


def test_explanation_adds_up_to_the_difference_of_two_scores():
    candidates = [
        _candidate("An oil change.", dense=0.6),
        _candidate("The press.", sparse=4.0),
        _candidate(PLAIN),
    ]
    shares = explain(QUESTION, candidates)
    odds = {
        ranked.index: math.log(ranked.score / (1 - ranked.score))
        for ranked in rank(QUESTION, candidates, 0, lambda: True).best
    }
    assert sum(shares[0].values()) - sum(shares[1].values()) == pytest.approx(odds[0] - odds[1])
    assert all(shares[0][name] == 0 for name in OF_THE_SET)
    assert explain(QUESTION, []) == []


def test_weights_are_read_as_they_were_written():
    assert Weights.read(SHIPPED.written()) == SHIPPED


def test_weights_of_other_features_are_refused():
    with pytest.raises(ValueError, match=r"other features.*coverage"):
        Weights.read(SHIPPED.written().replace('"coverage"', '"cover"'))
