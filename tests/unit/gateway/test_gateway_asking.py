"""Questions that lean on the turns before them."""

import pytest

from sluice_gateway.domain.asking import asked, unusable
from sluice_gateway.domain.leaning import leans
from sluice_gateway.domain.model import Message
from support.conversations import labelled

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


@pytest.mark.parametrize(
    ("question", "leaning"),
    [
        ("What is its default timeout?", True),
        ("Where does the gateway store its keys?", False),
        ("What happens when it is missing?", True),
        ("What does a service do with a snapshot that it cannot use?", False),
        ("How long does it take?", True),
        ("How long does it take to ship a part?", False),
        ("Who may do that?", True),
        ("Which is the process that holds the socket?", False),
        ("So how do I change the port of the gateway?", False),
        ("With which algorithm?", True),
        ("In which city is the kiln made?", False),
        ("Thank you very much!", False),
        ("Wie viel kostet der zweite?", True),
        ("Können Sie mir das Handbuch schicken?", False),
        ("En quelle année la tour a-t-elle été construite ?", False),
        ("¿Quién puede hacerlo?", True),
        ("En de oven?", True),
    ],
)
def test_words_tell_whether_a_question_leans(question: str, leaning: bool):
    assert leans(question) is leaning


@pytest.mark.parametrize("held_out", [False, True])
def test_rules_agree_with_labels(held_out: bool):
    turns = [turn for turn in labelled() if turn.held_out is held_out]
    assert len(turns) > 50
    assert sum(asked(turn.messages).leans is turn.leans for turn in turns) / len(turns) > 0.9


def test_one_endless_word_is_no_question_that_leans():
    assert not leans("Is it " + "a" * 1_000_000)


def test_first_question_never_leans():
    assert not asked([Message("system", "Be brief."), Message("user", "And that?")]).leans


def test_turns_that_an_engine_sees_are_the_last_ones_and_bounded():
    messages = [Message("system", "Be brief."), Message("tool", "42")]
    for number in range(9):
        messages += [Message("user", f"And {number}?"), Message("assistant", "x" * 5000)]
    turns = asked([*messages, Message("user", "Why?")]).turns
    assert [turn.role for turn in turns] == ["user", "assistant"] * 3 + ["user"]
    assert (turns[0].content, turns[-1].content) == ("And 6?", "Why?")
    assert max(len(turn.content) for turn in turns) == 1000


TURNS = (
    Message("user", FIRST),
    Message("assistant", "After 40 hours [1]."),
    Message("user", "Where is it made?"),
)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("Where is the Ardmore press made?", ""),
        ("", "REWRITE_EMPTY"),
        ("What is the weather like?", "REWRITE_UNRELATED"),
        ("press " * 60, "REWRITE_TOO_LONG"),
    ],
)
def test_rewritten_question_must_be_about_the_same(query: str, reason: str):
    assert unusable(query, TURNS) == reason


def test_scripts_without_blanks_are_compared_by_character():
    turns = (Message("user", "プレスの重さは？"), Message("user", "それはどこで作られますか？"))
    assert unusable("プレスはどこで作られますか？", turns) == ""
