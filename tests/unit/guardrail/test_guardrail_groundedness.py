"""Claims against passages: what is carried, what is changed, and what is not claimed at all."""

import pytest

from sluice_guardrail.domain.detectors.groundedness import GroundednessDetector
from sluice_guardrail.domain.embedding import MiniLmEmbedder
from sluice_guardrail.domain.grounding.scoring import Score
from sluice_guardrail.domain.model import Detection, ScanState
from sluice_guardrail.domain.texts import Answer

PASSAGES = (
    "Care\nThe Ardmore press needs its oil change after 40 hours of work. Only trained staff may change its oil. "
    "It must never be cleaned with water.",
    "Origin\nThe Ardmore press is made in Lisbon by the firm Quill, which was founded on 12 March 1987. "
    "The Bexley press is made in Porto and costs 1,250 euros.",
    "Trial\nThe new filter increased the output by 12.4 percent. United Nations staff took part in 3 trials.",
)
GERMAN = (
    "Preis\nDie Presse kostet 1.250 Euro. Der Versand nach Deutschland dauert etwa drei Tage, "
    "und die Garantie gilt zwei Jahre.",
)
QUESTION = "What do you know about the Ardmore press?"


def _detect(text: str, passages: tuple[str, ...] = PASSAGES, **options: object) -> Detection:
    return GroundednessDetector(**options).detect(Answer(QUESTION, text, passages))


@pytest.mark.parametrize(
    "text",
    [
        "The Ardmore press needs its oil change after 40 hours of work [1].",
        "Oil must be changed every forty hours, and only by trained staff [1].",
        "Its oil is changed after 40 h of work by staff who were trained [1].",
        "Quill, the maker, was founded in 1987 [2].",
        "The Bexley press costs 1250 euros [2].",
        "The output was increased by about 12 percent by the new filter [3].",
        "UN staff took part in three trials [3].",
        "The Ardmore press is made in Lisbon, and must never be cleaned with water.",
    ],
)
def test_what_the_passages_carry_is_no_finding(text: str):
    detection = _detect(text)
    assert not [finding for finding in detection.findings if finding.score >= 0.5]
    assert 0 < detection.score < 0.5


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("The Ardmore press needs its oil change after 90 hours of work [1].", "number-absent"),
        ("The Ardmore press needs its oil change after 40 days of work [1].", "unit-absent"),
        ("The Ardmore press is made in Helsinki by the firm Quill [2].", "name-absent"),
        ("The Ardmore press is made in Porto by the firm Quill [2].", "name-swapped"),
        ("The new filter increased the output by 3 percent [3].", "number-swapped"),
        ("The new filter decreased the output by 12.4 percent [3].", "contradiction"),
        ("The new filter did not increase the output by 12.4 percent [3].", "contradiction"),
        ("The colour scheme follows traditional maritime pennants [2].", "unsupported"),
        ("The Ardmore press needs its oil change after 40 hours of work [3].", "citation-unsupported"),
    ],
)
def test_what_they_do_not_carry_is_named(text: str, category: str):
    (finding,) = _detect(text).findings
    assert finding.category == category
    assert finding.score >= 0.5
    assert text[finding.span.start : finding.span.end] == text


@pytest.mark.parametrize(
    "text",
    [
        "Hello! How can I help you?",
        "Sure, here is a summary of the maintenance rules:",
        "The documents do not say how much the Ardmore press weighs in total.",
        "I cannot answer questions about the private lives of employees.",
        "Would you like to know more about maritime pennants and colour schemes?",
        "Let me know if you need anything else about maritime pennants.",
        "```python\nprint('maritime pennants are colourful flags')\n```",
    ],
)
def test_what_claims_nothing_is_not_judged(text: str):
    assert _detect(text) == Detection((), 0.0)


@pytest.mark.parametrize(
    "text",
    [
        "Die Presse kostet 1250 Euro.",
        "Der Versand nach Deutschland dauert 3 Tage.",
        "Die Garantie der Presse gilt zwei Jahre.",
    ],
)
def test_german_nouns_are_no_names(text: str):
    assert not _detect(text, GERMAN).findings
    assert _detect("Die Presse kostet 1300 Euro.", GERMAN).findings[0].category == "number-absent"


def test_the_question_needs_no_passage():
    answer = Answer(
        "Is the Zanzibar branch of Quill open at 7?", "Quill is not open at 7 in Zanzibar.", PASSAGES
    )
    assert not [each for each in GroundednessDetector().detect(answer).findings if "absent" in each.category]


def test_a_claim_without_marks_is_held_against_all_passages():
    assert not _detect("The Ardmore press is made in Lisbon by the firm Quill.").findings


def test_meaning_speaks_for_what_is_said_in_other_words():
    text = "Employees without instruction are forbidden to change the lubricant [1]."
    by_words, with_meaning = _detect(text), _detect(text, embedder=MiniLmEmbedder(), budget=60.0)
    assert with_meaning.score < by_words.score
    assert with_meaning.state is ScanState.SCANNED


def test_out_of_time_is_partial_and_never_scanned():
    detection = _detect("The Ardmore press is made in Lisbon by the firm Quill.", budget=0.0)
    assert (detection.state, detection.findings) == (ScanState.PARTIAL, ())


class _Doubting:
    """Finds every claim contradicted, but has time for the first only."""

    version, threshold_set = "m1", "uncalibrated"

    def read(self, claims, until):
        self.claims = claims
        return [Score(0.97, "contradiction")] + [None] * (len(claims) - 1)


def test_a_model_that_doubts_more_has_the_last_word_and_what_it_did_not_read_is_partial():
    model = _Doubting()
    detection = _detect(
        "The Ardmore press is made in Lisbon by Quill [2]. Only trained staff may change its oil.",
        model=model,
    )
    assert [(each.category, each.score) for each in detection.findings] == [("contradiction", 0.97)]
    assert (detection.state, detection.detail) == (ScanState.PARTIAL, "out of time for the model")
    assert [len(passages) for _, passages in model.claims] == [1, 3]  # what it cites, else all
