"""What of an answer claims something."""

import pytest

from sluice_guardrail.domain.claims import claims, sentences
from sluice_lexical.unanswerable import SENTENCES


@pytest.mark.parametrize("said", SENTENCES.values(), ids=SENTENCES)
def test_saying_that_there_is_no_answer_claims_nothing(said: str):
    assert list(claims(said, ())) == []


def test_sentences_of_a_long_text_cover_it_in_order():
    text = "The press needs oil. " * 300 + "\n" + "“" * 10_000 + " It is so."
    found = sentences(text)
    assert [text[span.start : span.end].strip() for span in found[:250]] == ["The press needs oil."] * 250
    assert "".join(text[span.start : span.end] for span in found).replace(" ", "") == text.replace(
        " ", ""
    ).replace("\n", "")
