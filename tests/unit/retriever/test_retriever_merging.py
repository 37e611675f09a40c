"""Passages of several knowledge bases in one list."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_retriever.domain.merging import merge
from sluice_retriever.domain.model import Leg, LegScore, Passage, SentenceScore, Span


def _passage(knowledge_base: str, id_: str, score: float, *similarities: float) -> Passage:
    sentences = tuple(SentenceScore(Span(0, 1), similarity) for similarity in similarities)
    return Passage(id_, id_, "", "x", "{}", score, (), sentences, knowledge_base)


def _ids(passages: list[Passage]) -> str:
    return "".join(passage.chunk_id for passage in passages)


@st.composite
def _lists(draw: st.DrawFn) -> list[list[Passage]]:
    ids = iter("abcdefghijklmnopqrstuvwxyz")
    return [
        [
            _passage(str(base), next(ids), 1.0, draw(st.integers(-3, 3)) / 3)
            for _ in range(draw(st.integers(0, 6)))
        ]
        for base in range(draw(st.integers(2, 4)))
    ]


@given(_lists(), st.integers(1, 30))
def test_it_is_one_list_of_all_by_falling_score(lists: list[list[Passage]], top_k: int):
    every = [passage for passages in lists for passage in passages]
    found = merge(lists, 30)
    assert sorted(_ids(found)) == sorted(_ids(every))
    assert all(before.score >= after.score for before, after in pairwise(found))
    assert merge(lists, top_k) == found[:top_k]


@given(_lists())
def test_the_order_of_the_knowledge_bases_does_not_matter(lists: list[list[Passage]]):
    assert merge(lists[::-1], 30) == merge(lists, 30)


@given(_lists())
def test_what_is_placed_better_and_as_similar_comes_first(lists: list[list[Passage]]):
    found = _ids(merge(lists, 30))
    for passages in lists:
        for before, after in pairwise(passages):
            if before.similarity >= after.similarity > 0:
                assert found.index(before.chunk_id) < found.index(after.chunk_id)


def test_one_list_stays_as_it_is():
    passages = [_passage("a", "x", 0.5, 0.1), _passage("a", "y", 0.9, 0.8)]
    assert merge([passages], 10) == passages
    assert merge([passages], 1) == passages[:1]


def test_a_knowledge_base_without_the_answer_does_not_fill_half_of_the_list():
    answers = [_passage("a", id_, 1.0, 0.9 - rank / 10) for rank, id_ in enumerate("abcd")]
    noise = [_passage("b", id_, 1.5, 0.1) for id_ in "wxyz"]
    assert _ids(merge([answers, noise], 4)) == "abcd"


def test_place_counts_where_sentences_are_alike():
    one = [_passage("a", "a", 1.0, 0.50), _passage("a", "b", 0.9, 0.53)]
    other = [_passage("b", "x", 1.0, 0.51)]
    assert _ids(merge([one, other], 3)) == "xab"


def test_ties_fall_to_the_lower_knowledge_base_and_id():
    assert _ids(merge([[_passage("b", "x", 1.0, 0.5)], [_passage("a", "y", 1.0, 0.5)]], 2)) == "yx"


def test_a_passage_without_sentences_counts_by_its_dense_leg():
    code = replace(
        _passage("a", "code", 1.0), legs=(LegScore(Leg.SPARSE, 0, 9.0), LegScore(Leg.DENSE, 0, 0.4))
    )
    found = merge([[code], [_passage("b", "p", 1.0, 0.6), _passage("b", "q", 0.9, 0.2)]], 3)
    assert _ids(found) == "p" + "code" + "q"
    assert found[1].score == pytest.approx(0.04)
