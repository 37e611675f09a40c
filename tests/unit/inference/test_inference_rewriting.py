"""A rewritten question: one plain line, whatever surrounds it; and who can rewrite none."""

import pytest

from sluice_inference.domain.model import Message, Rewriting
from sluice_inference.domain.rewriting import one_line
from sluice_inference.domain.unanswerable import ENGLISH, SENTENCES, says_so, sentence
from sluice_inference.engines.extractive import ExtractiveEngine
from sluice_servicekit.errors import FailedPrecondition


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        ("Where is the press made?", "Where is the press made?"),
        ("\n\n  Where is\tit made? \nBecause …", "Where is it made?"),
        ('Rewritten question: "Where is it made?"', "Where is it made?"),
        ("**Question:** Where is it made?", "Where is it made?"),
        ("Frage: „Wo wird sie gebaut?“", "Wo wird sie gebaut?"),
        ("Question:\nWhere is it made?", "Where is it made?"),
        (' "" \n', ""),
        ("", ""),
    ],
)
def test_one_plain_line_is_taken(reply: str, line: str):
    assert one_line(reply) == line


def test_line_is_bounded():
    assert len(one_line("x" * 10_000)) == 500


async def test_extractive_engine_rewrites_nothing():
    with pytest.raises(FailedPrecondition) as raised:
        await ExtractiveEngine(4).rewrite(Rewriting((Message("user", "Why?"),), 8))
    assert raised.value.reason == "REWRITE_UNSUPPORTED"


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("What is the weight of the press?", "en"),
        ("Wie schwer ist die Presse und wo wird sie gebaut?", "de"),
        ("Quel est le poids de la presse ?", "fr"),
        ("¿Cuál es el peso de la prensa?", "es"),
        ("Qual è il peso della pressa?", "it"),
        ("Qual é o peso da prensa?", "pt"),
        ("Hoe zwaar is het apparaat?", "nl"),
        ("プレスの重さは？", "en"),
    ],
)
def test_sentence_is_in_the_language_of_the_question(question: str, language: str):
    assert sentence(question) == SENTENCES[language]


@pytest.mark.parametrize(
    ("answer", "holds"),
    [
        (ENGLISH, True),
        (' "The documents do not answer\nthis question" [1]. ', True),
        (SENTENCES["fr"], True),
        (f"{ENGLISH} But I know that it is 40 hours.", False),
        ("It is 40 hours [1].", False),
        ("", False),
    ],
)
def test_only_the_agreed_sentence_says_so(answer: str, holds: bool):
    assert says_so(answer) is holds
