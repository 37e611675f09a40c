"""Which questions the words let pass for the same: the pairs that the bench measures, without their vectors."""

from pathlib import Path

import pytest
import yaml

from sluice_gateway.domain.caching.facts import facts

PAIRS = yaml.safe_load((Path(__file__).parents[3] / "bench" / "semantic_pairs.yaml").read_text())


@pytest.mark.parametrize(("one", "other"), PAIRS["different"])
def test_questions_that_differ_in_one_thing_have_other_facts(one: str, other: str) -> None:
    assert facts(one) != facts(other)


def test_half_of_the_rewordings_have_the_same_facts() -> None:
    same = [facts(one) == facts(other) for one, other in PAIRS["same"]]
    assert sum(same) >= len(same) / 2


@pytest.mark.parametrize("question", ["", "?", "What is it?", "Why?", "How do I do that? " * 100])
def test_question_that_says_too_little_or_too_much_is_compared_with_none(question: str) -> None:
    assert facts(question) is None


def test_a_part_may_stand_in_front_but_not_where_something_leads_somewhere() -> None:
    assert facts("In Berlin, is the office open?") == facts("Is the office open in Berlin?")
    assert facts("Is the tape before disk") != facts("Is the disk before tape")
