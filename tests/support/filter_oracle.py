"""What a filter lets pass, by a second, slow and plain reading of the filter language."""

import math
import operator
import re
from collections.abc import Mapping
from typing import Any

from sluice_api import datetimes
from sluice_api.filtering import (
    BOUNDS,
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

_EARTH_RADIUS = 6_371_000.0


def passes(filter_: Filter, metadata: Mapping[str, Any]) -> bool:
    """Whether a document with this metadata passes."""
    return (
        all(_holds(condition, metadata) for condition in filter_.must)
        and (not filter_.should or any(_holds(condition, metadata) for condition in filter_.should))
        and not any(_holds(condition, metadata) for condition in filter_.must_not)
    )


def _holds(condition: Condition, metadata: Mapping[str, Any]) -> bool:
    if isinstance(condition, Filter):
        return passes(condition, metadata)
    found = _found(metadata, condition.field)
    if isinstance(condition, Empty):
        return found in (None, [])
    return any(_is(condition, value) for value in (found if isinstance(found, list) else [found]))


def _found(metadata: Any, field: str) -> Any:
    for name in field.split("."):
        metadata = metadata.get(name) if isinstance(metadata, dict) else None
    return metadata


def _is(condition: Condition, value: Any) -> bool:
    match condition:
        case Match():
            return any(type(value) is type(wanted) and value == wanted for wanted in condition.any_of)
        case Range():
            return type(value) in (int, float) and _within(condition, value)
        case DatetimeRange():
            return (moment := _moment(value)) is not None and _within(condition, moment)
        case GeoRadius():
            return _is_place(value) and _metres(condition.center, value) <= condition.radius
        case GeoBox(top_left=top_left, bottom_right=bottom_right):
            if not _is_place(value) or not bottom_right.lat < value["lat"] < top_left.lat:
                return False
            east, west = value["lon"] > top_left.lon, value["lon"] < bottom_right.lon
            return (east or west) if top_left.lon > bottom_right.lon else (east and west)
        case Words():
            return isinstance(value, str) and _words(condition.text) <= _words(value)
        case _:
            raise AssertionError(condition)


def _within(condition: Range | DatetimeRange, value: Any) -> bool:
    tests = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
    given = {bound: limit for bound in BOUNDS if (limit := getattr(condition, bound)) is not None}
    return all(tests[bound](value, limit) for bound, limit in given.items())


def _moment(value: Any) -> Any:
    try:
        moment = datetimes.parse(value)
    except (TypeError, ValueError):
        return None
    return moment if hasattr(moment, "hour") else datetimes.midnight(moment)


def _is_place(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() >= {"lat", "lon"}


def _metres(center: Point, value: Mapping[str, float]) -> float:
    lat, other = math.radians(center.lat), math.radians(value["lat"])
    turn = math.radians(value["lon"] - center.lon)
    half = math.sin((other - lat) / 2) ** 2 + math.cos(lat) * math.cos(other) * math.sin(turn / 2) ** 2
    return 2 * _EARTH_RADIUS * math.asin(math.sqrt(half))


def _words(text: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[^\W_]+", text)}
