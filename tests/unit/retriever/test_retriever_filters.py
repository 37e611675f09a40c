"""Which filters are let through to the engine."""

import pytest

from sluice_retriever.domain.filters import MAX_CONDITIONS, MAX_DEPTH, MAX_VALUES, validate
from sluice_retriever.domain.metadata import boolean_fields
from sluice_retriever.domain.model import Filter, Match, Range
from sluice_servicekit.errors import InvalidArgument


def nested(depth: int) -> Filter:
    inner = Filter(must=(Match("a", (1,)),))
    for _ in range(depth - 1):
        inner = Filter(must=(inner,))
    return inner


def test_a_well_formed_filter_passes() -> None:
    validate(
        Filter(
            must=(Match("lang", ("de", "en")), Range("year", gte=2000, lt=2020)),
            should=(Filter(must_not=(Match("größe.in cm", (1, 2)),)),),
        )
    )


@pytest.mark.parametrize(
    ("filter_", "field", "words"),
    [
        (Filter(must=(Match("", ("a",)),)), "filter.must[0].field", "not a metadata field"),
        (Filter(must=(Match("a..b", ("a",)),)), "filter.must[0].field", "not a metadata field"),
        (Filter(must=(Match('a"b', ("a",)),)), "filter.must[0].field", "not a metadata field"),
        (Filter(must=(Match("a[0]", ("a",)),)), "filter.must[0].field", "not a metadata field"),
        (Filter(must=(Match("a\n", ("a",)),)), "filter.must[0].field", "not a metadata field"),
        (Filter(should=(Match("a", ()),)), "filter.should[0]", "1 to"),
        (Filter(should=(Match("a", tuple(range(MAX_VALUES + 1))),)), "filter.should[0]", "1 to"),
        (Filter(must_not=(Match("a", ("x", 1)),)), "filter.must_not[0]", "one type"),
        (Filter(must_not=(Match("a", (True, 1)),)), "filter.must_not[0]", "one type"),
        (Filter(must=(Range("a"),)), "filter.must[0]", "at least one of"),
        (Filter(must=(Match("a", (1,)),) * (MAX_CONDITIONS + 1)), "filter", "conditions"),
        (nested(MAX_DEPTH + 1), "filter" + ".must[0]" * (MAX_DEPTH + 1), "deeper"),
    ],
)
def test_a_malformed_filter_is_refused_where_it_is_wrong(filter_: Filter, field: str, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words) as caught:
        validate(filter_)

    assert caught.value.field == field


def test_the_deepest_and_the_widest_filter_pass() -> None:
    validate(nested(MAX_DEPTH))
    validate(Filter(must=(Match("a", (1,)),) * MAX_CONDITIONS))


def test_boolean_fields_are_named_by_their_paths() -> None:
    metadata = {"a": True, "b": {"in stock": True, "c": False}, "d": [1, True], "e": 1, "f.g": True, "h": []}

    assert boolean_fields(metadata, True) == ["a", "b.in stock", "d"]
    assert boolean_fields(metadata, False) == ["b.c"]
