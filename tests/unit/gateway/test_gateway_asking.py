"""Questions that lean on the turns before them."""

import pytest

from sluice_gateway.domain.asking import asked
from sluice_gateway.domain.model import Message

FIRST = (
    "After how many hours does the Ardmore press need its oil change according to the handbook of the works?"
)


def _query(*questions: str) -> str:
    messages = []
    for question in questions:
        messages += [Message("user", question), Message("assistant", "An answer about the Belvoir kiln.")]
    return asked([Message("system", "Be brief."), *messages[:-1]]).query


@pytest.mark.parametrize(
    "question",
    [
        "And in which city is it made?",
        "Where is it made?",
        "What about the weight?",
        "Why?",
        "The weight?",
        "Who may do that?",
        "… and who may do the work?",
    ],
)
def test_question_that_leans_takes_the_one_before_along(question: str):
    assert _query(FIRST, question) == f"{FIRST} {question}"


@pytest.mark.parametrize(
    "question",
    [
        "In which city is the Belvoir kiln made?",
        "Which machines in the main hall of the new plant in Turin need an oil change after forty hours of its work?",
        "How heavy is the Corrib lathe?",
    ],
)
def test_question_that_stands_alone_is_left_alone(question: str):
    assert _query(FIRST, question) == question


def test_turns_are_taken_up_to_the_one_that_stands_alone():
    chain = ("How heavy is the Corrib lathe?", FIRST, "Where is it made?", "Why?")
    assert _query(*chain) == f"{FIRST} Where is it made? Why?"


def test_single_question_is_itself():
    assert _query("Why?") == "Why?"
    assert asked([]).query == ""


def test_what_is_taken_along_is_bounded():
    assert len(_query("x" * 10_000, "Why?")) < 600
