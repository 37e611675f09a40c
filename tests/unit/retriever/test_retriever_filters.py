"""Which filters are let through to the engine."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from sluice.retriever.v1 import retriever_pb2
from sluice_api.filtering import (
    DatetimeRange,
    Empty,
    Filter,
    GeoBox,
    GeoRadius,
    Match,
    Point,
    Range,
    Words,
)
from sluice_retriever.domain.filters import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_VALUES,
    MAX_WORDS_CHARACTERS,
    validate,
)
from sluice_retriever.domain.metadata import boolean_fields
from sluice_retriever.filter_conversion import filter_
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
            should=(
                Filter(must_not=(Match("größe.in cm", (1, 2)), Empty("lang"))),
                DatetimeRange("published", gt=datetime(2024, 3, 1, tzinfo=UTC)),
                GeoRadius("place", Point(52.5, 13.4), 1000.0),
                GeoBox("place", Point(1, 179), Point(-1, -179)),
                Words("summary", "open source"),
            ),
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
        (Filter(must=(Range("a", gt=math.nan),)), "filter.must[0]", "finite"),
        (Filter(must=(DatetimeRange("a"),)), "filter.must[0]", "at least one of"),
        (Filter(must=(GeoRadius("a", Point(91, 0), 1.0),)), "filter.must[0]", "-90 to 90"),
        (Filter(must=(GeoRadius("a", Point(math.nan, 0), 1.0),)), "filter.must[0]", "-90 to 90"),
        (Filter(must=(GeoRadius("a", Point(1, 0), 0.0),)), "filter.must[0]", "metres"),
        (Filter(must=(GeoRadius("a", Point(1, 0), math.inf),)), "filter.must[0]", "metres"),
        (Filter(must=(GeoBox("a", Point(1, 0), Point(1, 1)),)), "filter.must[0]", "north"),
        (Filter(must=(GeoBox("a", Point(1, 0), Point(0, 181)),)), "filter.must[0]", "-180 to 180"),
        (Filter(must=(Words("a", " ?!"),)), "filter.must[0]", "no word"),
        (Filter(must=(Words("a", "x" * (MAX_WORDS_CHARACTERS + 1)),)), "filter.must[0]", "longer"),
        (Filter(must=(Empty(""),)), "filter.must[0].field", "not a metadata field"),
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


def test_messages_are_read_with_their_paths() -> None:
    condition = retriever_pb2.Condition
    message = retriever_pb2.Filter(
        must=[
            condition(datetime_range={"field": "a", "gte": {"seconds": 60}}, path="filter.a"),
            condition(geo_radius={"field": "a", "center": {"lat": 1, "lon": 2}, "radius": 3}),
            condition(geo_box={"field": "a", "top_left": {"lat": 1}, "bottom_right": {"lon": 2}}),
            condition(words={"field": "a", "text": "x"}),
        ],
        must_not=[condition(filter={"should": [{"empty": {"field": "a"}}]}, path="filter.not")],
    )

    read = filter_(message)

    assert read == Filter(
        must=(
            DatetimeRange("a", gte=datetime(1970, 1, 1, 0, 1, tzinfo=UTC)),
            GeoRadius("a", Point(1, 2), 3),
            GeoBox("a", Point(1, 0), Point(0, 2)),
            Words("a", "x"),
        ),
        must_not=(Filter(should=(Empty("a"),)),),
    )
    assert [each.path for each in (*read.must, *read.must_not)] == [
        "filter.a",
        "",
        "",
        "",
        "filter.not",
    ]


@pytest.mark.parametrize(
    ("condition", "field"),
    [
        ({}, "filter.must[0].should[0]"),
        ({"path": "filter.x"}, "filter.x"),
        ({"match": {"field": "a", "any_of": [{}]}}, "filter.must[0].should[0]"),
        ({"datetime_range": {"field": "a", "lt": {"seconds": 10**15}}}, "filter.must[0].should[0]"),
    ],
)
def test_an_empty_part_of_a_message_is_refused_where_it_stands(condition: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        filter_(retriever_pb2.Filter(must=[{"filter": {"should": [condition]}}]))
    assert caught.value.field == field
