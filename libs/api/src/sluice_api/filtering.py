"""Filters as nouns, frozen: conditions on metadata fields, joined by and, or and not. The gateway reads them from
requests, the retriever from messages and questions."""

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Scalar = str | int | bool

Bound = Literal["gt", "gte", "lt", "lte"]
BOUNDS: tuple[Bound, ...] = ("gt", "gte", "lt", "lte")


@dataclass(frozen=True, slots=True)
class Match:
    """Holds where the field has one of the values, or is a list that holds one of them."""

    field: str
    any_of: tuple[Scalar, ...]
    path: str = dataclasses.field(default="", compare=False)
    """Where the caller wrote it, for errors; empty where its place in the filter says so. So for all conditions."""


@dataclass(frozen=True, slots=True)
class Range:
    """Holds where the numeric field lies within the bounds that are given."""

    field: str
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None
    path: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class DatetimeRange:
    """Holds where the field is a time within the bounds that are given; they name their offset."""

    field: str
    gt: datetime | None = None
    gte: datetime | None = None
    lt: datetime | None = None
    lte: datetime | None = None
    path: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Point:
    """A place, in degrees."""

    lat: float
    lon: float


@dataclass(frozen=True, slots=True)
class GeoRadius:
    """Holds where the field is a place in the circle."""

    field: str
    center: Point
    radius: float
    """Metres."""
    path: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class GeoBox:
    """Holds where the field is a place in the box; one whose left is east of its right crosses the antimeridian."""

    field: str
    top_left: Point
    bottom_right: Point
    path: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Words:
    """Holds where the field's text has all the words, in any order and case."""

    field: str
    text: str
    path: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Empty:
    """Holds where the field is absent, null or an empty list."""

    field: str
    path: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Filter:
    """All of `must`, at least one of `should`, none of `must_not`; empty parts are ignored."""

    must: tuple["Condition", ...] = ()
    should: tuple["Condition", ...] = ()
    must_not: tuple["Condition", ...] = ()
    path: str = dataclasses.field(default="", compare=False)


Leaf = Match | Range | DatetimeRange | GeoRadius | GeoBox | Words | Empty
Condition = Leaf | Filter


def bounds(condition: Range | DatetimeRange) -> dict[str, Any]:
    """The bounds that a range has, by their names."""
    return {name: bound for name in BOUNDS if (bound := getattr(condition, name)) is not None}


def leaves(filter_: Filter) -> list[Leaf]:
    """The conditions of a filter and of those nested in it, in order."""
    found: list[Leaf] = []
    for condition in (*filter_.must, *filter_.should, *filter_.must_not):
        found.extend(leaves(condition) if isinstance(condition, Filter) else [condition])
    return found


def together(*filters: Filter | None) -> Filter | None:
    """The filter that holds where all of those given hold; none where none is given."""
    given = [each for each in filters if each is not None]
    return Filter(must=tuple(given)) if len(given) > 1 else next(iter(given), None)
