"""What becomes of a ranker's scores: fusion, boosts, duplicates, diversity."""

import json
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sluice_api.objects.arranging import (
    Arranging,
    Boost,
    Calibration,
    Duplicates,
    Freshness,
    Fusion,
    FusionMethod,
    Matching,
    Source,
)
from sluice_reranker.domain.arranging.arrange import arrange
from sluice_reranker.domain.arranging.odds import log_odds, probability
from sluice_reranker.domain.model import Candidate, Placed, Ranked, Ranking

NOW = 1_790_000_000.0
DAY = 86_400.0


def _candidate(text: str = "", score: float = 0.0, **more: object) -> Candidate:
    return Candidate("", text, score, **more)


def _ranking(scores: Sequence[float], left: int = 0) -> Ranking:
    """Of so many candidates, the last of which were left unscored."""
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    best = [Ranked(index, scores[index]) for index in order]
    best += [Ranked(len(scores) + place, 0.0) for place in range(left)]
    return Ranking(tuple(best), len(scores), "deadline" if left else "")


def _order(
    how: Arranging, candidates: Sequence[Candidate], scores: Sequence[float], top_k: int = 0
) -> list[int]:
    ranking = _ranking(scores, len(candidates) - len(scores))
    return [ranked.index for ranked in arrange(how, candidates, ranking, top_k, NOW).best]


def _scores(how: Arranging, candidates: Sequence[Candidate], scores: Sequence[float]) -> list[float]:
    best = arrange(how, candidates, _ranking(scores), 0, NOW).best
    return [ranked.score for ranked in sorted(best, key=lambda ranked: ranked.index)]


def _fusing(method: FusionMethod, **more: object) -> Arranging:
    return Arranging(fusion=Fusion(method=method, **more))


def test_reciprocal_rank_mixes_the_ranker_and_the_retrieval() -> None:
    candidates = [_candidate("a", 0.9), _candidate("b", 0.8), _candidate("c", 0.1)]
    how = _fusing(FusionMethod.RRF, k=1, weights={Source.RANKER: 1.0, Source.RETRIEVAL: 1.0})
    # Ranks: the ranker has b, c, a; the retrieval a, b, c.
    scores = _scores(how, candidates, [0.1, 0.9, 0.5])
    assert scores == pytest.approx([(1 / 3 + 1) / 2, (1 + 1 / 2) / 2, (1 / 2 + 1 / 3) / 2])


def test_a_leg_that_found_a_candidate_speaks_for_it_alone() -> None:
    found = _candidate("a", legs={"keyword": Placed(3, 8.0)})
    how = _fusing(FusionMethod.RRF, weights={Source.RANKER: 1.0, Source.KEYWORD: 1.0})
    assert _order(how, [_candidate("b"), found], [0.6, 0.5]) == [1, 0]


def test_a_source_that_found_nothing_has_no_say() -> None:
    how = _fusing(FusionMethod.RRF, k=1, weights={Source.RANKER: 1.0, Source.KEYWORD: 9.0})
    assert _scores(how, [_candidate("a"), _candidate("b")], [0.9, 0.1]) == pytest.approx([1.0, 0.5])


def test_score_distributions_are_brought_to_one_scale() -> None:
    candidates = [_candidate("a", 100.0), _candidate("b", 200.0), _candidate("c", 300.0)]
    how = _fusing(FusionMethod.DBSF, weights={Source.RETRIEVAL: 1.0})
    spread = 3 * math.sqrt(20000 / 3)
    assert _scores(how, candidates, [0.9, 0.5, 0.1]) == pytest.approx(
        [0.5 - 100 / 2 / spread, 0.5, 0.5 + 50 / spread]
    )


def test_least_and_greatest_are_nought_and_one() -> None:
    candidates = [_candidate("a", 10.0), _candidate("b", 20.0), _candidate("c", 15.0)]
    how = _fusing(FusionMethod.WEIGHTED, weights={Source.RANKER: 3.0, Source.RETRIEVAL: 1.0})
    assert _scores(how, candidates, [0.9, 0.5, 0.1]) == pytest.approx([0.75, (1.5 + 1) / 4, 0.125])


def test_scores_that_are_all_alike_decide_nothing() -> None:
    candidates = [_candidate("a", 1.0), _candidate("b", 1.0)]
    for method in (FusionMethod.WEIGHTED, FusionMethod.DBSF):
        how = _fusing(method, weights={Source.RANKER: 1.0, Source.RETRIEVAL: 1.0})
        assert _order(how, candidates, [0.1, 0.9]) == [1, 0]


def test_calibrated_scores_average_their_log_odds() -> None:
    candidates = [_candidate("a", 12.0), _candidate("b", 8.0)]
    curve = {Source.RETRIEVAL: Calibration(slope=0.5, midpoint=10.0)}
    how = _fusing(
        FusionMethod.CALIBRATED, weights={Source.RANKER: 1.0, Source.RETRIEVAL: 1.0}, calibration=curve
    )
    assert _scores(how, candidates, [0.5, 0.5]) == pytest.approx([probability(0.5), probability(-0.5)])


def test_boosts_add_to_the_odds() -> None:
    candidates = [
        _candidate("a", metadata_json='{"kind": "manual"}'),
        _candidate("b", metadata_json='{"kind": ["note", "manual"]}'),
        _candidate("c", metadata_json='{"kind": "note"}'),
        _candidate("d", metadata_json="not JSON"),
    ]
    boost = Boost(matching=Matching(field="kind", values=("manual",)), log_odds=math.log(2))
    twice = probability(math.log(2))
    assert _scores(Arranging(boosts=(boost,)), candidates, [0.5] * 4) == pytest.approx(
        [twice, twice, 0.5, 0.5]
    )


def test_a_number_matches_no_text_and_no_truth() -> None:
    candidates = [_candidate("a", metadata_json=json.dumps({"n": value})) for value in (1, "1", True, None)]
    boost = Boost(matching=Matching(field="n", values=(1,)), log_odds=1.0)
    scores = _scores(Arranging(boosts=(boost,)), candidates, [0.5] * 4)
    assert [score > 0.5 for score in scores] == [True, False, False, False]


@pytest.mark.parametrize(
    ("told", "left"),
    [
        ("2026-09-21T13:33:20Z", 0.5 ** (0 / 30)),
        (NOW - 30 * DAY, 0.5),
        (NOW - 60 * DAY, 0.25),
        (NOW + 60 * DAY, 1.0),
        ("yesterday", 0.0),
        (True, 0.0),
        (None, 0.0),
    ],
)
def test_freshness_halves(told: object, left: float) -> None:
    candidate = _candidate("a", metadata_json=json.dumps({"published": told}))
    boost = Boost(freshness=Freshness(field="published", half_life="720h"), log_odds=2.0)
    [score] = _scores(Arranging(boosts=(boost,)), [candidate], [0.5])
    assert log_odds(score) == pytest.approx(2.0 * left, abs=0.01)


def test_a_knowledge_base_can_be_preferred() -> None:
    candidates = [_candidate("a", knowledge_base="wiki"), _candidate("b", knowledge_base="handbook")]
    how = Arranging(boosts=(Boost(knowledge_base="wiki", log_odds=-3.0),))
    assert _order(how, candidates, [0.9, 0.6]) == [1, 0]


LONG = "The press needs its oil change after forty hours of work and not a day later than that"


@pytest.mark.parametrize(
    ("how", "kept"),
    [(Duplicates.KEEP, [0, 1, 2, 3]), (Duplicates.EXACT, [0, 2, 3]), (Duplicates.NEAR, [0, 3])],
)
def test_one_candidate_stands_for_each_text(how: Duplicates, kept: list[int]) -> None:
    words = LONG * 3
    candidates = [_candidate(text) for text in (words, f"  {words.upper()}\n", f"{words} indeed", "Another.")]
    arranged = arrange(Arranging(duplicates=how), candidates, _ranking([0.9, 0.8, 0.7, 0.6]), 0, NOW).best
    assert [ranked.index for ranked in arranged] == kept
    stood_for = [index for ranked in arranged for index in (ranked.index, *ranked.duplicates)]
    assert sorted(stood_for) == [0, 1, 2, 3]


def test_duplicates_make_room_for_others() -> None:
    candidates = [_candidate("same"), _candidate("same"), _candidate("other")]
    assert _order(Arranging(duplicates=Duplicates.EXACT), candidates, [0.9, 0.8, 0.1], top_k=2) == [0, 2]


def test_diversity_puts_another_thing_second() -> None:
    candidates = [
        _candidate("the press needs oil"),
        _candidate("the press needs oil soon"),
        _candidate("holidays are in august"),
    ]
    assert _order(Arranging(), candidates, [0.9, 0.85, 0.5]) == [0, 1, 2]
    assert _order(Arranging(diversity=0.5), candidates, [0.9, 0.85, 0.5]) == [0, 2, 1]


def test_what_was_not_scored_stays_behind() -> None:
    candidates = [_candidate("a", 0.1), _candidate("b", 0.2), _candidate("c", 0.99), _candidate("d", 0.98)]
    boost = Boost(knowledge_base="none", log_odds=1.0)
    how = Arranging(fusion=Fusion(), boosts=(boost,), duplicates=Duplicates.NEAR, diversity=0.3)
    assert _order(how, candidates, [0.2, 0.3]) == [1, 0, 2, 3]


def test_sources_are_kept() -> None:
    candidates = [
        _candidate("a", 0.5, legs={"dense": Placed(4, 0.7)}),
        _candidate("b", 0.6, legs={"dense": Placed(9, 0.3), "sparse": Placed(0, 12.0)}),
    ]
    best = arrange(Arranging(duplicates=Duplicates.EXACT), candidates, _ranking([0.9, 0.1]), 0, NOW).best
    told = {of.source: (of.rank, of.score) for of in best[1].sources}
    assert told == {"ranker": (1, 0.1), "retrieval": (0, 0.6), "dense": (1, 0.3), "sparse": (0, 12.0)}


UNIT = st.floats(0, 1)
CANDIDATES = st.lists(
    st.builds(
        _candidate,
        st.text("ab ", max_size=12),
        st.floats(-1e6, 1e6),
        legs=st.dictionaries(
            st.sampled_from(["dense", "sparse", "tokens", "keyword"]),
            st.builds(Placed, st.integers(0, 99), st.floats(-1e6, 1e6)),
        ),
        metadata_json=st.sampled_from(
            ["", "{}", "[]", '{"at": 1e400}', '{"at": -1e300}', '{"at": "2026-01-01"}']
        ),
    ),
    max_size=12,
)


@given(
    CANDIDATES,
    st.data(),
    st.sampled_from(FusionMethod),
    st.sampled_from(Duplicates),
    UNIT,
    st.integers(0, 12),
)
def test_every_candidate_is_there_once_and_scores_stay_in_bounds(
    candidates: list[Candidate],
    data: st.DataObject,
    method: FusionMethod,
    duplicates: Duplicates,
    diversity: float,
    top_k: int,
) -> None:
    scored = data.draw(st.integers(0, len(candidates)))
    relevance = data.draw(st.lists(UNIT, min_size=scored, max_size=scored))
    how = Arranging(
        fusion=Fusion(method=method, weights=dict.fromkeys(Source, 1.0)),
        boosts=(Boost(freshness=Freshness(field="at", half_life="24h"), log_odds=10.0),),
        duplicates=duplicates,
        diversity=diversity,
    )
    best = arrange(how, candidates, _ranking(relevance, len(candidates) - scored), top_k, NOW).best
    assert all(0.0 <= ranked.score <= 1.0 for ranked in best)
    shown = [index for ranked in best for index in (ranked.index, *ranked.duplicates)]
    assert len(shown) == len(set(shown))
    assert len(best) == min(top_k, len(best)) if top_k else sorted(shown) == list(range(len(candidates)))


@pytest.mark.parametrize(
    "spec",
    [
        {"boosts": [{"logOdds": 1.0}]},
        {"boosts": [{"knowledgeBase": "a", "matching": {"field": "x", "values": [1]}, "logOdds": 1.0}]},
        {"fusion": {"weights": {"ranker": 0.0}}},
        {"fusion": {"weights": {"nonsense": 1.0}}},
        {"diversity": 1.5},
    ],
)
def test_what_cannot_be_meant_is_refused(spec: object) -> None:
    with pytest.raises(ValidationError):
        Arranging.model_validate(spec)
