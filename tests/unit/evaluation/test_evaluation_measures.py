"""Measures against values computed by hand, and how sure a difference is."""

import math

import pytest
from evaluation.measures import Interval, difference, scores


def test_measures_are_those_computed_by_hand() -> None:
    values = scores({"q": {"a": 2.0, "b": 1.0}}, {"q": ["x", "a", "b"]})
    best = 2 + 1 / math.log2(3)
    assert values["nDCG@10"]["q"] == pytest.approx((2 / math.log2(3) + 1 / math.log2(4)) / best)
    assert values["recall@10"]["q"] == 1.0
    assert values["MRR@10"]["q"] == 0.5


def test_only_the_first_ten_count() -> None:
    values = scores({"q": {"a": 1.0, "b": 1.0}}, {"q": ["a", *(f"x{i}" for i in range(9)), "b"]})
    assert values["nDCG@10"]["q"] == pytest.approx(1 / (1 + 1 / math.log2(3)))
    assert values["recall@10"]["q"] == 0.5
    late = scores({"q": {"b": 1.0}}, {"q": [*(f"x{i}" for i in range(10)), "b"]})
    assert late["MRR@10"]["q"] == 0.0


def test_a_question_that_finds_nothing_counts_zero() -> None:
    values = scores({"q": {"a": 1.0}, "r": {"b": 1.0}}, {"q": ["a"]})
    assert values["nDCG@10"] == {"q": 1.0, "r": 0.0}


def test_a_difference_is_of_the_same_questions() -> None:
    one, other = (
        {str(i): 0.5 + i / 1000 for i in range(50)},
        {str(49 - i): 0.4 + (49 - i) / 1000 for i in range(50)},
    )
    found = difference(one, other)
    assert found.mean == pytest.approx(0.1)
    assert found.low == pytest.approx(0.1)
    assert found.is_clear


def test_a_difference_that_may_be_chance_is_not_clear() -> None:
    one = {str(i): float(i % 2) for i in range(40)}
    other = {str(i): float((i + 1) % 2) for i in range(40)}
    found = difference(one, other)
    assert found.low < 0 < found.high
    assert not found.is_clear
    assert difference(one, one) == Interval(0.0, 0.0, 0.0)
