"""The filter language of the REST API."""

from datetime import UTC, datetime
from typing import Any

import pytest

from sluice.retriever.v1 import retriever_pb2
from sluice_api.filtering import (
    Condition,
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
from sluice_gateway.domain.filters import MAX_DEPTH, read
from sluice_gateway.filter_conversion import filter_message
from sluice_servicekit.errors import InvalidArgument


def test_plain_form_is_equality():
    assert read({"lang": "en", "year": [2024, 2025]}) == Filter(
        must=(Match("lang", ("en",)), Match("year", (2024, 2025)))
    )


def test_plain_form_takes_operators_too():
    assert read({"year": {"gte": 2020, "lt": 2024.5}, "lang": {"ne": "en"}}) == Filter(
        must=(Range("year", **{"gte": 2020.0, "lt": 2024.5}), Filter(must_not=(Match("lang", ("en",)),)))
    )


def test_written_out_and_qdrants_words_are_the_same():
    ours = {"must": [{"field": "lang", "eq": "en"}], "must_not": [{"field": "year", "lt": 2000}]}
    theirs = {
        "must": [{"key": "lang", "match": {"value": "en"}}],
        "must_not": {"key": "year", "range": {"lt": 2000}},
    }
    plain = {"and": [{"lang": "en"}], "not": {"year": {"lt": 2000}}}
    assert read(ours) == read(theirs)
    assert read(theirs).must_not == (Range("year", **{"lt": 2000.0}),)
    assert read(plain).must == (Filter(must=(Match("lang", ("en",)),)),)
    assert read(plain).must_not == (Filter(must=(Range("year", **{"lt": 2000.0}),)),)


def test_one_condition_needs_no_list():
    assert read({"field": "lang", "eq": "en"}) == read({"key": "lang", "match": {"value": "en"}})
    assert read({"field": "lang", "eq": "en"}) == Filter(must=(Match("lang", ("en",)),))
    assert read({"field": "a", "name": "b"}) == Filter(must=(Match("field", ("a",)), Match("name", ("b",))))


def test_nesting():
    inner = {"or": [{"field": "a", "eq": 1}, {"field": "a", "in": [2, 3]}]}
    assert read({"must": [inner]}).must == (Filter(should=(Match("a", (1,)), Match("a", (2, 3)))),)


UTC_MARCH = datetime(2024, 3, 1, tzinfo=UTC)
BOX = {"top_left": {"lat": 53, "lon": 13}, "bottom_right": {"lat": 52, "lon": 14}}


@pytest.mark.parametrize(
    ("operators", "expected"),
    [
        ({"eq": "x"}, Match("a", ("x",))),
        ({"eq": 2024.0}, Match("a", (2024,))),
        ({"eq": True}, Match("a", (True,))),
        ({"any": ["x", "y"]}, Match("a", ("x", "y"))),
        ({"all": ["x", "y"]}, Filter(must=(Match("a", ("x",)), Match("a", ("y",))))),
        ({"none": ["x", "y"]}, Filter(must_not=(Match("a", ("x", "y")),))),
        ({"not_in": ["x", "y"]}, Filter(must_not=(Match("a", ("x", "y")),))),
        ({"contains": "open source"}, Words("a", "open source")),
        ({"match": {"text": "open source"}}, Words("a", "open source")),
        ({"exists": True}, Filter(must_not=(Empty("a"),))),
        ({"exists": False}, Empty("a")),
        ({"is_empty": True}, Empty("a")),
        (
            {"gte": 1, "ne": 3},
            Filter(must=(Range("a", **{"gte": 1.0}), Filter(must_not=(Match("a", (3,)),)))),
        ),
        ({"gte": "2024-03-01"}, DatetimeRange("a", **{"gte": UTC_MARCH})),
        ({"lt": "2024-03-01T01:00:00+01:00"}, DatetimeRange("a", **{"lt": UTC_MARCH})),
        (
            {"gt": "2024-02-29", "lt": "2024-03-01T00:00:00"},
            DatetimeRange("a", **{"gte": UTC_MARCH, "lt": UTC_MARCH}),
        ),
        ({"lte": "2024-02-29"}, DatetimeRange("a", **{"lt": UTC_MARCH})),
        ({"range": {"lte": "2024-02-29"}}, DatetimeRange("a", **{"lt": UTC_MARCH})),
        (
            {"geo_radius": {"center": {"lat": 52.5, "lon": 13.4}, "radius": 500}},
            GeoRadius("a", Point(52.5, 13.4), 500.0),
        ),
        ({"geo_bounding_box": BOX}, GeoBox("a", Point(53, 13), Point(52, 14))),
    ],
)
def test_what_can_be_asked_of_a_field(operators: dict[str, Any], expected: Condition):
    assert read({"must": [{"field": "a", **operators}]}).must == (expected,)
    assert read({"a": operators}).must == (expected,)


def test_qdrants_is_empty():
    assert read({"must": [{"is_empty": {"key": "a"}}]}).must == (Empty("a"),)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (3, "filter"),
        ([], "filter"),
        ({"must": 3}, "filter.must"),
        ({"must": [{"field": 3, "eq": 1}]}, "filter.must[0]"),
        ({"must": [{"field": "a"}]}, "filter.must[0]"),
        ({"must": [{"field": "a", "like": "x"}]}, "filter.must[0]"),
        ({"must": [{"field": "a", "gt": "x"}]}, "filter.must[0].gt"),
        ({"must": [], "nor": []}, "filter"),
        ({"a": []}, "filter.a"),
        ({"a": 1.5}, "filter.a"),
        ({"a": {"b": 1}}, "filter.a"),
        ({"a": {}}, "filter.a"),
        ({"a": None}, "filter.a"),
        ({"a": [1, {}]}, "filter.a"),
        ({"a": 2**63}, "filter.a"),
        ({"a": "\ud800"}, "filter.a"),
        ({"\ud800": {"eq": 1}}, "filter"),
        ({"a": {"eq": 0.5}}, "filter.a.eq"),
        ({"a": {"gt": 10**400}}, "filter.a.gt"),
        ({"a": {"gt": float("nan")}}, "filter.a.gt"),
        ({"a": {"gt": True}}, "filter.a.gt"),
        ({"a": {"gt": 1, "lt": "2024-03-01"}}, "filter.a"),
        ({"a": {"gt": "2024-03"}}, "filter.a.gt"),
        ({"a": {"lte": "9999-12-31"}}, "filter.a.lte"),
        ({"a": {"gte": "0001-01-01T00:00:00+01:00"}}, "filter.a.gte"),
        ({"a": {"gt": "2024-02-28", "gte": "2024-02-29"}}, "filter.a"),
        ({"a": {"contains": "?!"}}, "filter.a.contains"),
        ({"a": {"exists": 1}}, "filter.a.exists"),
        ({"a": {"all": []}}, "filter.a.all"),
        ({"a": {"match": {"except": ["x"]}}}, "filter.a.match"),
        ({"a": {"match": "x"}}, "filter.a.match"),
        ({"a": {"geo_radius": {"lat": 1, "lon": 1}}}, "filter.a.geo_radius"),
        ({"a": {"geo_radius": {"center": {"lat": 91, "lon": 1}, "radius": 1}}}, "filter.a.geo_radius.center"),
        ({"a": {"geo_radius": {"center": {"lat": 9, "lon": 1}, "radius": 0}}}, "filter.a.geo_radius.radius"),
        (
            {
                "a": {
                    "geo_bounding_box": {
                        "top_left": {"lat": 1, "lon": 1},
                        "bottom_right": {"lat": 1, "lon": 2},
                    }
                }
            },
            "filter.a.geo_bounding_box",
        ),
        ({"or": [{"a": 1}, {"not": {"b": 0.5}}]}, "filter.or[1].not.b"),
        ({"and": [{"a": 1}], "must": [{"b": 1}]}, "filter"),
    ],
)
def test_what_is_wrong_is_named(content: object, field: str):
    with pytest.raises(InvalidArgument) as raised:
        read(content)
    assert raised.value.field == field


def test_deep_nesting_is_refused():
    content: dict[str, object] = {"a": 1}
    for _ in range(MAX_DEPTH - 1):
        content = {"must": [content]}
    read(content)
    with pytest.raises(InvalidArgument, match="deeper than 4"):
        read({"must": [content]})


def test_conditions_say_where_they_stand():
    message = filter_message(read({"or": [{"year": {"gt": 1, "ne": 3}}, {"field": "b", "eq": 1}]}))

    paths = [condition.path for condition in message.should]
    inner = [condition.path for condition in message.should[0].filter.must[0].filter.must]
    assert paths == ["filter.or[0]", "filter.or[1].eq"]
    assert message.should[0].filter.must[0].path == "filter.or[0].year"
    assert inner == ["filter.or[0].year", "filter.or[0].year.ne"]


def test_every_condition_has_a_message():
    operators = {
        "gt": "2024-03-01T00:00:00.25Z",
        "contains": "open",
        "is_empty": True,
        "geo_radius": {"center": {"lat": 52.5, "lon": 13.4}, "radius": 500},
        "geo_bounding_box": BOX,
        "in": [1, 2],
    }
    content = filter_message(
        read({"must": [{"field": "a", name: value} for name, value in operators.items()]})
    )

    kinds = [condition.WhichOneof("condition") for condition in content.must]
    assert kinds == ["datetime_range", "words", "empty", "geo_radius", "geo_box", "match"]
    assert content.must[0].datetime_range.gt.ToNanoseconds() == 1_709_251_200_250_000_000
    assert content.must[3].geo_radius == retriever_pb2.GeoRadius(
        field="a", center=retriever_pb2.GeoPoint(lat=52.5, lon=13.4), radius=500
    )
