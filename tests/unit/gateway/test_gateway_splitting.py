"""Questions taken apart by rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_gateway.domain.splitting import MOST_PARTS, parts, trimmed
from sluice_lexical.words import terms

COMPOUND = {
    "Where is the Corrib lathe made and how long may the Dunmore loom run?": (
        "Where is the Corrib lathe made",
        "how long may the Dunmore loom run?",
    ),
    "How hot is the kiln and after how many hours is it relined?": (),  # the second leans on the first
    "How hot is the kiln and in which city is the lathe made?": (
        "How hot is the kiln",
        "in which city is the lathe made?",
    ),
    "What does the oil change cost? When is the kiln relined?": (
        "What does the oil change cost?",
        "When is the kiln relined?",
    ),
    "Who composed the music, and what was unique about the musical themes?": (
        "Who composed the music",
        "what was unique about the musical themes?",
    ),
    "Compare the firing temperature of the kiln with the hydraulic pressure of the press.": (
        "the firing temperature of the kiln",
        "the hydraulic pressure of the press",
    ),
    "What is the difference between binary quantization and scalar quantization?": (
        "binary quantization",
        "scalar quantization",
    ),
    "Qdrant server vs. Qdrant Edge": ("Qdrant server", "Qdrant Edge"),
    "In which cities are the Corrib lathe and the Dunmore loom made?": (
        "In which cities are the Corrib lathe",
        "In which cities are the Dunmore loom made?",
    ),
    "Wo wird die Drehbank gebaut und wie lange darf der Webstuhl laufen?": (
        "Wo wird die Drehbank gebaut",
        "wie lange darf der Webstuhl laufen?",
    ),
    "Où est fabriqué le tour et combien pèse la presse hydraulique ?": (
        "Où est fabriqué le tour",
        "combien pèse la presse hydraulique ?",
    ),
    "这台压力机在哪里制造？多少小时后需要换油？": (),  # its parts hold no words that blanks part
}

ONE = [
    "",
    "How long?",
    "Where is the Corrib lathe made?",
    "What are the rules of research and development?",
    "Where is the press made and how long does it take?",  # the second leans on the first
    "Where is the press made and why?",
    "The city of which the mayor is known for what he said",
    "Which of the two machines is the older one?",
    "¿En qué ciudad se fabrica el torno?",
    "and or and or",
    "Compare it with the kiln",
    "Compare the kiln with the kiln",
    "What is the cause of the outage? Thanks!",
]


@pytest.mark.parametrize(("question", "expected"), COMPOUND.items())
def test_compound_question_is_taken_apart(question: str, expected: tuple[str, ...]):
    assert parts(question) == expected


@pytest.mark.parametrize("question", ONE)
def test_question_that_asks_one_thing_stays_whole(question: str):
    assert parts(question) == ()


@given(st.text(max_size=400))
def test_parts_are_none_or_several_and_each_asks_something(question: str):
    found = parts(question)
    assert len(found) != 1
    assert len(found) <= MOST_PARTS
    assert len(set(found)) == len(found)
    for part in found:
        assert terms(part)


WORDS = st.lists(
    st.sampled_from("the press kiln and or what where how is made of between compare vs ? , a la y".split()),
    max_size=60,
).map(" ".join)


@given(WORDS)
def test_parts_hold_only_words_of_the_question(question: str):
    for part in parts(question):
        assert set(terms(part)) <= set(terms(question))


def test_long_text_is_left_alone_at_once():
    assert parts("What is the press and what is the kiln? " * 2000) == ()


LONG = [
    "the " * 240 + "and",
    "compare " + "and " * 240,
    "compare " + "!" * 900,
    "difference between " * 50,
    "vs " * 300,
    "hi " * 300,
    "!" * 990,
    "can you " * 120,
]


@pytest.mark.parametrize("text", LONG)
def test_no_text_takes_long(text: str):
    parts(text)
    trimmed(text)


@pytest.mark.parametrize(
    ("question", "short"),
    [
        ("Could you please tell me where the press is made?", "where the press is made?"),
        ("Hi, I was wondering if the kiln is safe.", "the kiln is safe."),
        ("I'd like to know what the lathe costs", "what the lathe costs"),
        ("Ich möchte wissen, wo die Presse steht", "wo die Presse steht"),
        ("Tell me about it", "Tell me about it"),
        ("Where is the press made?", "Where is the press made?"),
        ("", ""),
    ],
)
def test_what_leads_to_a_question_is_left_out(question: str, short: str):
    assert trimmed(question) == short


@given(st.text(max_size=300))
def test_trimming_never_leaves_nothing(question: str):
    assert trimmed(question) in question
    assert bool(terms(trimmed(question))) == bool(terms(question))
