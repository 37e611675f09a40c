"""Declared metadata fields: what may be asked of them, and what documents may hold in them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from sluice_api.filtering import (
    DatetimeRange,
    Empty,
    Filter,
    GeoRadius,
    Leaf,
    Match,
    Point,
    Range,
    Words,
)
from sluice_api.objects.knowledge_base import FieldType, MetadataField
from sluice_retriever.domain import fields
from sluice_retriever.domain.filters import validate
from sluice_servicekit.errors import InvalidArgument

#: Each named after its type, except for one in an object.
DECLARED = (
    *(MetadataField(name=type_.value, type=type_) for type_ in FieldType),
    MetadataField(name="shop.price", type=FieldType.FLOAT),
)

ASKED: dict[str, Leaf] = {
    "strings": Match("x", ("a", "b")),
    "whole numbers": Match("x", (1,)),
    "booleans": Match("x", (True,)),
    "a range": Range("x", gte=1.0),
    "a range of times": DatetimeRange("x", gte=datetime(2024, 1, 1, tzinfo=UTC)),
    "a circle": GeoRadius("x", Point(0, 0), 1.0),
    "words": Words("x", "a"),
}
KNOWN = {
    FieldType.KEYWORD: {"strings"},
    FieldType.INTEGER: {"whole numbers", "a range"},
    FieldType.FLOAT: {"a range"},
    FieldType.BOOL: {"booleans"},
    FieldType.DATETIME: {"a range of times"},
    FieldType.GEO: {"a circle"},
    FieldType.TEXT: {"words"},
}


@pytest.mark.parametrize("type_", FieldType)
@pytest.mark.parametrize("asked", ASKED)
def test_a_field_is_asked_only_what_its_type_knows(type_: FieldType, asked: str) -> None:
    condition = type(ASKED[asked])(type_.value, *_rest(ASKED[asked]))

    if asked in KNOWN[type_]:
        validate(Filter(must=(condition,)), DECLARED)
    else:
        with pytest.raises(InvalidArgument, match=f"'{type_}' is a {type_} field") as raised:
            validate(Filter(must=(condition,)), DECLARED)
        assert (raised.value.reason, raised.value.field) == ("FIELD_TYPE", "filter.must[0].field")


def _rest(condition: Leaf) -> list[Any]:
    return [getattr(condition, name) for name in condition.__slots__[1:]]


@pytest.mark.parametrize("type_", FieldType)
def test_absence_can_be_asked_of_every_type(type_: FieldType) -> None:
    validate(Filter(must_not=(Empty(type_.value),)), DECLARED)


@pytest.mark.parametrize("name", ["other", "shop", "price", "Keyword", "shop.price.x"])
def test_another_field_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(
        InvalidArgument, match=f"'{name}' is no field.*; there are bool, datetime, float"
    ) as raised:
        validate(Filter(should=(Match(name, ("a",)),)), DECLARED)
    assert (raised.value.reason, raised.value.field) == ("UNKNOWN_FIELD", "filter.should[0].field")


def test_where_the_caller_says_where_it_stands_the_error_says_so_too() -> None:
    with pytest.raises(InvalidArgument) as raised:
        validate(Filter(must=(Filter(must=(Match("other", (1,), path="filter.other"),)),)), DECLARED)
    assert raised.value.field == "filter.other"


def test_any_field_may_be_asked_anything_where_none_is_declared() -> None:
    validate(Filter(must=tuple(ASKED.values())))


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"other": [{}, 1, "a"]},
        {"keyword": "a", "text": ["a", "b"], "bool": False, "shop": {"price": 1}},
        {"integer": [1, 2], "float": [1, 2.5], "keyword": [], "geo": None},
        {
            "datetime": [
                "2024-03-01",
                "2024-03-01T10:00:00+02:00",
                "2024-03-01T10:00:00.123456789",
                "2024-03-01T10:00:00Z",
            ]
        },
        {"geo": {"lat": -90, "lon": 180.0, "name": "x"}},
        {"shop": 3},
        {"shop": [{"price": "not looked into"}]},
    ],
)
def test_metadata_of_the_declared_types_is_stored(metadata: dict[str, Any]) -> None:
    assert fields.refusal(metadata, DECLARED) == ""


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"keyword": 1}, "'keyword' is 1, and not a string"),
        ({"keyword": ["a", True]}, "'keyword' is True, and not a string"),
        ({"integer": 1.0}, "'integer' is 1.0, and not a whole number"),
        ({"integer": True}, "not a whole number"),
        ({"integer": "1"}, "not a whole number"),
        ({"float": "1.5"}, "not a number"),
        ({"float": False}, "not a number"),
        ({"bool": 1}, "not true or false"),
        ({"datetime": 2024}, "not RFC 3339 or a date"),
        ({"datetime": "2024"}, "not RFC 3339 or a date"),
        ({"datetime": "2024-02-30"}, "not RFC 3339 or a date"),
        ({"datetime": "01.03.2024"}, "not RFC 3339 or a date"),
        ({"datetime": "2024-03-01T25:00:00Z"}, "not RFC 3339 or a date"),
        ({"datetime": "20240301"}, "not RFC 3339 or a date"),
        ({"geo": {"lat": 91, "lon": 0}}, "not a place"),
        ({"geo": {"lat": 1}}, "not a place"),
        ({"geo": {"lat": True, "lon": 0}}, "not a place"),
        ({"geo": [52.5, 13.4]}, "not a place"),
        ({"text": {"a": 1}}, "not a string"),
        ({"text": [["a"]]}, "not a string"),
        ({"shop": {"price": "1 €"}}, "'shop.price' is '1 €', and not a number"),
        ({"keyword": ["a" * 5000, ["a" * 5000]]}, "…, and not a string"),
    ],
)
def test_metadata_of_another_type_is_refused_by_name(metadata: dict[str, Any], words: str) -> None:
    refusal = fields.refusal(metadata, DECLARED)
    assert words in refusal
    assert len(refusal) < 200


def test_all_but_booleans_get_an_index_of_their_own() -> None:
    assert fields.index_kinds(DECLARED) == {
        field.name: field.type for field in DECLARED if field.name != "bool"
    }
