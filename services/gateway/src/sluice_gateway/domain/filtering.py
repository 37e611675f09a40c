"""Filters as nouns, frozen: conditions on metadata fields, joined by and, or and not."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

Scalar = str | int | bool

BOUNDS = ("gt", "gte", "lt", "lte")


@dataclass(frozen=True, slots=True)
class Match:
    """The field has one of the values, or is a list that holds one of them."""

    field: str
    any_of: tuple[Scalar, ...]
    path: str = dataclasses.field(default="", compare=False)
    """Where in the request it stands, as in `filter.year`. So for all conditions."""


@dataclass(frozen=True, slots=True)
class Range:
    """The numeric field lies within the bounds given: `gt`, `gte`, `lt`, `lte`."""

    field: str
    bounds: Mapping[str, float]
    path: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class DatetimeRange:
    """The field is a time within the bounds given: `gt`, `gte`, `lt`, `lte`, in UTC."""

    field: str
    bounds: Mapping[str, datetime]
    path: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Point:
    """A place, in degrees."""

    lat: float
    lon: float


@dataclass(frozen=True, slots=True)
class GeoRadius:
    """The field is a place in the circle."""

    field: str
    center: Point
    radius: float
    """Metres."""
    path: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class GeoBox:
    """The field is a place in the box."""

    field: str
    top_left: Point
    bottom_right: Point
    path: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Words:
    """The field's text has all the words."""

    field: str
    text: str
    path: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Empty:
    """The field is absent, null or an empty list."""

    field: str
    path: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Boolean:
    """All of `must`, one of `should`, none of `must_not`."""

    must: tuple["Condition", ...] = ()
    should: tuple["Condition", ...] = ()
    must_not: tuple["Condition", ...] = ()
    path: str = dataclasses.field(default="", compare=False)


Condition = Match | Range | DatetimeRange | GeoRadius | GeoBox | Words | Empty | Boolean
