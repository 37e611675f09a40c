"""Between the retriever's protos and its filters. Converts only; decides nothing."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from sluice.retriever.v1 import retriever_pb2
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
from sluice_servicekit.errors import InvalidArgument

#: A path longer than this is none that a caller wrote.
_MOST_PATH = 1024


def filter_(message: retriever_pb2.Filter, place: str = "filter", path: str = "") -> Filter:
    """A filter.

    Args:
        message: As it came.
        place: Where it stands in the request, as far as that can be told.
        path: Where the caller says it stands.

    Raises:
        InvalidArgument: a condition or a value is empty, or a time is none.
    """
    return Filter(
        _conditions(message.must, f"{place}.must"),
        _conditions(message.should, f"{place}.should"),
        _conditions(message.must_not, f"{place}.must_not"),
        path=path,
    )


def _conditions(messages: Sequence[retriever_pb2.Condition], place: str) -> tuple[Condition, ...]:
    return tuple(_condition(message, f"{place}[{index}]") for index, message in enumerate(messages))


def _condition(message: retriever_pb2.Condition, place: str) -> Condition:
    kind = message.WhichOneof("condition")
    path = message.path[:_MOST_PATH]
    if kind is None:
        raise InvalidArgument("a condition is empty", field=path or place)
    return _CONVERSIONS[kind](getattr(message, kind), path, place)


def _nested(message: retriever_pb2.Filter, path: str, place: str) -> Filter:
    return filter_(message, place, path)


def _match(message: retriever_pb2.Match, path: str, place: str) -> Match:
    return Match(message.field, tuple(_value(value, path or place) for value in message.any_of), path=path)


def _value(message: retriever_pb2.Value, place: str) -> str | int | bool:
    kind = message.WhichOneof("kind")
    if kind is None:
        raise InvalidArgument("a value is empty", field=place)
    value: str | int | bool = getattr(message, kind)
    return value


def _range(message: retriever_pb2.Range, path: str, place: str) -> Range:
    bounds = {name: getattr(message, name) for name in BOUNDS if message.HasField(name)}
    return Range(message.field, **bounds, path=path)


def _datetime_range(message: retriever_pb2.DatetimeRange, path: str, place: str) -> DatetimeRange:
    bounds = {
        name: _datetime(getattr(message, name), path or place) for name in BOUNDS if message.HasField(name)
    }
    return DatetimeRange(message.field, **bounds, path=path)


def _datetime(message: Timestamp, place: str) -> datetime:
    try:
        return message.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument("a bound lies outside the years 1 to 9999", field=place) from None


def _geo_radius(message: retriever_pb2.GeoRadius, path: str, place: str) -> GeoRadius:
    return GeoRadius(message.field, _point(message.center), message.radius, path=path)


def _geo_box(message: retriever_pb2.GeoBox, path: str, place: str) -> GeoBox:
    return GeoBox(message.field, _point(message.top_left), _point(message.bottom_right), path=path)


def _point(message: retriever_pb2.GeoPoint) -> Point:
    return Point(message.lat, message.lon)


def _words(message: retriever_pb2.Words, path: str, place: str) -> Words:
    return Words(message.field, message.text, path=path)


def _empty(message: retriever_pb2.Empty, path: str, place: str) -> Empty:
    return Empty(message.field, path=path)


#: By the name in `Condition.condition`: from the message, the caller's path and the place in the filter.
_CONVERSIONS: dict[str, Callable[[Any, str, str], Condition]] = {
    "match": _match,
    "range": _range,
    "filter": _nested,
    "datetime_range": _datetime_range,
    "geo_radius": _geo_radius,
    "geo_box": _geo_box,
    "words": _words,
    "empty": _empty,
}
