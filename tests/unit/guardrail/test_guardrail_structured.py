"""Answers in JSON and arguments of calls at the output gate."""

import json

from hypothesis import given
from hypothesis import strategies as st

from sluice_guardrail.domain.detectors.citations import CitationDetector
from sluice_guardrail.domain.detectors.groundedness import GroundednessDetector
from sluice_guardrail.domain.structured import as_prose
from sluice_guardrail.domain.texts import Answer, Form

PASSAGES = ("The Ardmore press needs its oil change after 40 hours of work.",)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def _categories(text: str, form: Form, *tool_results: str) -> list[str]:
    answer = Answer("How long?", text, PASSAGES, form=form, tool_results=tool_results)
    found = [
        *CitationDetector().detect(answer).findings,
        *GroundednessDetector().detect(answer).findings,
    ]
    return [finding.category for finding in found]


@given(VALUES)
def test_every_character_keeps_its_place(value: object):
    text = json.dumps(value, ensure_ascii=False)
    assert len(as_prose(text)) == len(text)


def test_names_and_brackets_are_no_citations_and_no_quotations():
    good = '{"numbers": [9], "machine": "Ardmore press", "text": "The oil change is due after 40 hours of work [1]."}'
    assert _categories(good, Form.JSON) == []
    assert "citation-unresolved" in _categories(good, Form.PROSE)
    assert "quote-absent" in _categories('{"a": "b", "it": "never said of any press"}', Form.PROSE)


def test_what_strings_say_is_held_to_the_passages():
    assert _categories('{"text": "It is as they say [9]."}', Form.JSON) == ["citation-unresolved"]
    assert _categories(
        '{"text": "The Ardmore press needs its oil change after 90 hours of work."}', Form.JSON
    )


def test_place_of_a_finding_is_that_in_the_json():
    text = '{"a": "x", "text": "As they say [9]."}'
    [finding] = CitationDetector().detect(Answer("", text, PASSAGES, form=Form.JSON)).findings
    assert text[finding.span.start : finding.span.end] == "[9]"


def test_arguments_claim_nothing():
    assert _categories('{"ids": [9], "note": "The moon is made of 17 cheeses."}', Form.ARGUMENTS) == []


def test_answer_may_rest_on_what_tools_gave_whatever_it_cites():
    answer = "The next inspection of the Ardmore press is on 3 March 2031 in Ghent [1]."
    assert _categories(answer, Form.PROSE)
    assert (
        _categories(answer, Form.PROSE, "The next inspection of the Ardmore press: 3 March 2031, Ghent.")
        == []
    )
    # No mark names it.
    assert "citation-unresolved" in _categories("It is so [2].", Form.PROSE, "It is so.")
