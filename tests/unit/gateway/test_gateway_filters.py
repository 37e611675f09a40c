"""The filter language of the REST API."""

import pytest

from sluice_gateway.domain.filters import Boolean, Match, Range, read
from sluice_servicekit.errors import InvalidArgument


def test_plain_form_is_equality():
    assert read({"lang": "en", "year": [2024, 2025]}) == Boolean(
        must=(Match("lang", ("en",)), Match("year", (2024, 2025)))
    )


def test_written_out_and_qdrants_words_are_the_same():
    ours = {"must": [{"field": "lang", "eq": "en"}], "must_not": [{"field": "year", "lt": 2000}]}
    theirs = {
        "must": [{"key": "lang", "match": {"value": "en"}}],
        "must_not": {"key": "year", "range": {"lt": 2000}},
    }
    assert read(ours) == read(theirs)
    assert read(theirs).must_not == (Range("year", {"lt": 2000.0}),)


def test_nesting():
    inner = {"should": [{"field": "a", "eq": 1}, {"field": "a", "in": [2, 3]}]}
    assert read({"must": [inner]}).must == (Boolean(should=(Match("a", (1,)), Match("a", (2, 3)))),)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (3, "filter"),
        ([], "filter"),
        ({"must": 3}, "filter.must[0]"),
        ({"must": [{"field": 3, "eq": 1}]}, "filter.must[0]"),
        ({"must": [{"field": "a"}]}, "filter.must[0]"),
        ({"must": [{"field": "a", "like": "x"}]}, "filter.must[0]"),
        ({"must": [{"field": "a", "gt": "x"}]}, "filter.must[0].gt"),
        ({"must": [], "nor": []}, "filter"),
        ({"a": []}, "filter.a"),
        ({"a": 1.5}, "filter.a"),
        ({"a": {"b": 1}}, "filter.a"),
    ],
)
def test_what_is_wrong_is_named(content: object, field: str):
    with pytest.raises(InvalidArgument) as raised:
        read(content)
    assert raised.value.field == field


def test_deep_nesting_is_refused():
    content: dict[str, object] = {"a": 1}
    for _ in range(50):
        content = {"must": [content]}
    with pytest.raises(InvalidArgument):
        read(content)
