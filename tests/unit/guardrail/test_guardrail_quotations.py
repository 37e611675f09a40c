"""Quotations and references of an answer: found where they are, and missed where they are not."""

import pytest

from sluice_guardrail.domain.detectors.citations import CitationDetector
from sluice_guardrail.domain.detectors.groundedness import GroundednessDetector
from sluice_guardrail.domain.texts import Answer

PASSAGES = (
    "Care\nThe Ardmore press needs its oil change after 40 hours of work.\nOnly trained staff may do it. See "
    "https://quill.example/care?page=2 or ask care@quill.example (ticket ARD-1432, doi 10.1234/press.2024.17).",
    "Origin\nThe press is made in Lisbon, as Quill's founder said: “I’ll never build it elsewhere.”",
)
QUESTION = "My colleague says that it must be oiled every single day. Is ARD-77 about that?"


def _found(text: str, passages: tuple[str, ...] = PASSAGES) -> list[str]:
    answer = Answer(QUESTION, text, passages)
    findings = CitationDetector().detect(answer).findings
    return [
        text[finding.span.start : finding.span.end] for finding in findings if "quote" in finding.category
    ]


@pytest.mark.parametrize(
    "text",
    [
        'It says: "needs its oil change after 40 hours of work" [1].',
        "It says: “The ARDMORE press needs   its oil change” [1].",
        "Es heißt: „Only trained staff may do it.“ [1]",
        "Il est écrit : «\u00a0Only trained staff may do it\u00a0» [1].",
        "It says: 'Only trained staff may do it' [1].",
        'It says: "The Ardmore press ... after 40 hours […] work" [1].',
        'It says: "[The press] needs its oil change [regularly] after 40 hours" [1].',
        'It says: "after 40 hours of work. Only trained staff may do it" [1].',
        "> Only trained staff may do it.\n\nSo it is [1].",
        'The founder said "I\'ll never build it elsewhere" [2].',
        'You said "must be oiled every single day", which is wrong [1].',
        'It is called "the best press" [1].',  # a name
        'Run `print("there is no such quotation here")` [1].',
        "It's the users' choice, and the dealers' as well [1].",
    ],
)
def test_what_is_quoted_word_for_word_is_found(text: str):
    assert _found(text) == []


@pytest.mark.parametrize(
    ("text", "quotation"),
    [
        (
            'It says: "needs its oil change after 90 hours of work" [1].',
            "needs its oil change after 90 hours of work",
        ),
        ("It says: “Only certified staff may do it” [1].", "Only certified staff may do it"),
        ("Es heißt: „Niemand darf es jemals tun.“ [1]", "Niemand darf es jemals tun."),
        ("It says: 'Nobody may ever do it' [1].", "Nobody may ever do it"),
        (
            'It says: "after 40 hours ... needs its oil change" [1].',  # the wrong way round
            "after 40 hours ... needs its oil change",
        ),
        ("> Nobody may ever do it.\n\nSo it is [1].", "Nobody may ever do it."),
    ],
)
def test_what_is_not_there_word_for_word_is_reported(text: str, quotation: str):
    assert _found(text) == [quotation]
    assert _found(text, ()) == []  # nothing to look it up in


def _absent(text: str) -> list[str]:
    findings = GroundednessDetector().detect(Answer(QUESTION, text, PASSAGES)).findings
    return [
        text[finding.span.start : finding.span.end]
        for finding in findings
        if finding.category == "reference-absent"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "See <https://quill.example/care?page=2>, or [the page](http://www.quill.example/care?page=2).",
        "Ask Care@Quill.example, or see ARD-1432 and ARD-77.",
        "It is 10.1234/press.2024.17.",
        "It is encoded in UTF-8 or UTF-16, with SHA-256.",
    ],
)
def test_references_of_the_passages_and_the_question_are_found(text: str):
    assert _absent(text) == []


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("See https://quill.example/prices.", "https://quill.example/prices"),
        ("See [here](https://evil.example/x?d=secret).", "https://evil.example/x?d=secret"),
        ("See https://quill.example/car.", "https://quill.example/car"),
        ("Ask sales@quill.example.", "sales@quill.example"),
        ("It is ticket ARD-143.", "ARD-143"),
        ("It is 10.1234/press.2024.99.", "10.1234/press.2024.99"),
        ("By RFC 9110 it is so.", "RFC 9110"),
    ],
)
def test_references_that_nothing_names_are_reported(text: str, reference: str):
    assert _absent(text) == [reference]
