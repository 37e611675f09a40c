"""What of a question is a phrase."""

import pytest

from sluice_retriever.keyword.question import MAX_CHARACTERS, parse


@pytest.mark.parametrize(
    ("query", "phrases"),
    [
        ("notice period", ()),
        ('the "notice period" of "Acme Ltd"', ("notice period", "Acme Ltd")),
        ("die „Kündigung“ und “term” und «délai»", ("Kündigung", "term", "délai")),
        ('5" of rain', ()),
        ('a 5" and a 7" disc', ()),
        ('"" and "  "', ()),
        ('"one" two" three', ("one",)),
        ("it's the dog's", ()),
    ],
)
def test_phrases_are_what_stands_between_a_pair_of_quotation_marks(query: str, phrases: tuple[str, ...]):
    question = parse(query)
    assert question.phrases == phrases
    assert question.words == query


def test_long_question_is_cut():
    assert len(parse("a" * 5000).words) == MAX_CHARACTERS
    assert parse(" " * MAX_CHARACTERS + '"late"').phrases == ()
