"""The sentence for what the documents do not answer: in the question's language, and recognised."""

import pytest

from sluice_lexical.unanswerable import ENGLISH, SENTENCES, says_so, sentence


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
