"""Which candidates are returned."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_retriever.domain.selection import Candidate, select


def _candidate(id_: str, score: float, angle: float | None = None, **more: object) -> Candidate:
    """One whose vector lies in a plane, at an angle in degrees."""
    vector = None
    if angle is not None:
        vector = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))], np.float32)
    return Candidate(
        **{"id": id_, "document_id": id_, "score": score, "similarity": 0.5, "vector": vector, **more}
    )


def _ids(candidates: list[Candidate]) -> str:
    return "".join(candidate.id for candidate in candidates)


@st.composite
def _lists(draw: st.DrawFn) -> list[Candidate]:
    size = draw(st.integers(0, 12))
    scores = sorted((draw(st.integers(0, 5)) / 5 for _ in range(size)), reverse=True)
    return [
        _candidate(
            str(index),
            score,
            draw(st.none() | st.integers(0, 359)),
            document_id=draw(st.sampled_from("abc")),
            similarity=draw(st.integers(-10, 10)) / 10,
        )
        for index, score in enumerate(scores)
    ]


@given(_lists(), st.integers(1, 15))
def test_without_conditions_it_is_the_first_of_them(candidates: list[Candidate], top_k: int):
    assert select(candidates, top_k) == candidates[:top_k]


@given(
    _lists(), st.integers(1, 15), st.integers(-10, 10), st.integers(0, 3), st.sampled_from([0, 0.3, 0.7, 1])
)
def test_conditions_hold_and_nothing_is_missing(
    candidates: list[Candidate], top_k: int, least: int, share: int, diversity: float
):
    found = select(candidates, top_k, min_similarity=least / 10, max_per_document=share, diversity=diversity)
    assert len(found) == len({candidate.id for candidate in found}) <= top_k
    assert all(candidate.similarity >= least / 10 for candidate in found)
    documents = Counter(candidate.document_id for candidate in found)
    assert not share or all(count <= share for count in documents.values())
    if len(found) < top_k:  # only because no other may
        for candidate in candidates:
            left_out = candidate not in found and candidate.similarity >= least / 10
            assert not left_out or (share and documents[candidate.document_id] == share)


@given(_lists(), st.integers(1, 15))
def test_little_diversity_breaks_no_clear_order(candidates: list[Candidate], top_k: int):
    found = select(candidates, top_k, diversity=1e-6)
    assert [candidate.score for candidate in found] == [candidate.score for candidate in candidates[:top_k]]


def test_a_copy_gives_way_to_what_differs():
    candidates = [_candidate("a", 1.0, 0), _candidate("b", 0.9, 1), _candidate("c", 0.6, 80)]
    assert _ids(select(candidates, 2)) == "ab"
    assert _ids(select(candidates, 2, diversity=0.5)) == "ac"


def test_the_first_is_the_most_relevant_one_at_any_diversity():
    candidates = [_candidate("a", 1.0, 0), _candidate("b", 0.9, 0), _candidate("c", 0.1, 180)]
    assert _ids(select(candidates, 3, diversity=1.0)) == "acb"


def test_distance_counts_to_the_nearest_of_those_chosen():
    candidates = [
        _candidate("a", 1, 0),
        _candidate("b", 1, 90),
        _candidate("c", 1, 2),
        _candidate("d", 1, 45),
    ]
    assert _ids(select(candidates, 4, diversity=1.0)) == "abdc"


def test_a_cap_makes_room_for_other_documents():
    candidates = [
        _candidate("a", 1.0, document_id="x"),
        _candidate("b", 0.9, document_id="x"),
        _candidate("c", 0.8, document_id="y"),
    ]
    assert _ids(select(candidates, 2, max_per_document=1)) == "ac"
    assert _ids(select(candidates, 2, max_per_document=1, diversity=0.1)) == "ac"


@pytest.mark.parametrize("diversity", [0.0, 0.5])
def test_of_nothing_nothing_is_chosen(diversity: float):
    assert select([], 3, diversity=diversity) == []
