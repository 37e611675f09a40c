"""What a filter may ask of one field, read from the operators' names and values. Pure."""

import math
from collections.abc import Callable
from datetime import date, datetime, timedelta
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
    Scalar,
    Words,
)
from sluice_servicekit.errors import InvalidArgument

#: Qdrant's words within `match`, and ours.
_MATCHES = {"value": "eq", "any": "in", "text": "contains"}


def conditions(field: str, operators: dict[str, Any], path: str) -> Condition:
    """All that is asked of a field.

    Args:
        field: The metadata field.
        operators: Values by operator, as in `{"gte": 2020, "lt": 2024}`.
        path: Where they stand in the request.

    Raises:
        InvalidArgument: there is none, one is unknown, or its value has no meaning.
    """
    operators = _unfolded(operators, path)
    if unknown := operators.keys() - _OPERATORS.keys() - {*BOUNDS}:
        known = ", ".join((*_OPERATORS, *BOUNDS))
        raise InvalidArgument(f"{min(unknown, key=str)!r} is no operator; there are {known}", field=path)
    found: list[Condition] = []
    bounds: dict[str, Any] = {name: operators[name] for name in BOUNDS if name in operators}
    if bounds:
        found.append(_range(field, bounds, path))
    found += (
        read(field, operators[name], f"{path}.{name}")
        for name, read in _OPERATORS.items()
        if name in operators
    )
    if not found:
        raise InvalidArgument(f"a condition needs one of {', '.join((*_OPERATORS, *BOUNDS))}", field=path)
    return found[0] if len(found) == 1 else Filter(must=tuple(found), path=path)


def one_of(field: str, values: Any, path: str) -> Match:
    """Equality with a value, or with one of a list of values.

    Raises:
        InvalidArgument: one is none that can be compared.
    """
    return Match(field, _scalars(values, path), path=path)


def is_text(value: Any) -> bool:
    """Whether a value is a string that UTF-8 can hold."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unfolded(operators: dict[str, Any], path: str) -> dict[str, Any]:
    """The same with Qdrant's `match` and `range` opened."""
    opened = dict(operators)
    for name, words in (("match", _MATCHES), ("range", {bound: bound for bound in BOUNDS})):
        if name not in opened:
            continue
        inner = opened.pop(name)
        if not isinstance(inner, dict) or not inner or not inner.keys() <= words.keys():
            raise InvalidArgument(f"{name} holds {', '.join(words)}", field=f"{path}.{name}")
        opened |= {words[word]: value for word, value in inner.items()}
    return opened


def _equal(field: str, value: Any, path: str) -> Condition:
    return Match(field, (_scalar(value, path),), path=path)


def _all_of(field: str, values: Any, path: str) -> Condition:
    return Filter(
        must=tuple(Match(field, (value,), path=path) for value in _scalars(values, path)), path=path
    )


def _not_equal(field: str, value: Any, path: str) -> Condition:
    return _negated(_equal(field, value, path), path)


def _none_of(field: str, values: Any, path: str) -> Condition:
    return _negated(one_of(field, values, path), path)


def _contains(field: str, text: Any, path: str) -> Condition:
    if not is_text(text) or not any(character.isalnum() for character in text):
        raise InvalidArgument("contains takes a string with at least one word", field=path)
    return Words(field, text, path=path)


def _exists(field: str, wanted: Any, path: str) -> Condition:
    empty = Empty(field, path=path)
    return _negated(empty, path) if _switch(wanted, path) else empty


def _is_empty(field: str, wanted: Any, path: str) -> Condition:
    return _exists(field, not _switch(wanted, path), path)


def _geo_radius(field: str, content: Any, path: str) -> Condition:
    if not isinstance(content, dict) or content.keys() != {"center", "radius"}:
        raise InvalidArgument("a geo_radius has a center and a radius in metres", field=path)
    radius = _number(content["radius"], f"{path}.radius")
    if radius <= 0:
        raise InvalidArgument("a radius is more than 0", field=f"{path}.radius")
    return GeoRadius(field, _point(content["center"], f"{path}.center"), radius, path=path)


def _geo_box(field: str, content: Any, path: str) -> Condition:
    if not isinstance(content, dict) or content.keys() != {"top_left", "bottom_right"}:
        raise InvalidArgument("a geo_bounding_box has top_left and bottom_right", field=path)
    top_left, bottom_right = (
        _point(content[corner], f"{path}.{corner}") for corner in ("top_left", "bottom_right")
    )
    if top_left.lat <= bottom_right.lat:
        raise InvalidArgument("top_left is north of bottom_right", field=path)
    return GeoBox(field, top_left, bottom_right, path=path)


#: All but the bounds, which make one range together.
_OPERATORS: dict[str, Callable[[str, Any, str], Condition]] = {
    "eq": _equal,
    "ne": _not_equal,
    "in": one_of,
    "not_in": _none_of,
    "any": one_of,
    "all": _all_of,
    "none": _none_of,
    "contains": _contains,
    "exists": _exists,
    "is_empty": _is_empty,
    "geo_radius": _geo_radius,
    "geo_bounding_box": _geo_box,
}

OPERATORS = frozenset({*_OPERATORS, *BOUNDS, "match", "range"})


def _range(field: str, bounds: dict[str, Any], path: str) -> Condition:
    times = [isinstance(value, str) for value in bounds.values()]
    if all(times):
        read = dict(_time_bound(name, value, f"{path}.{name}") for name, value in bounds.items())
        if len(read) < len(bounds):
            raise InvalidArgument("a range has one lower and one upper bound for dates", field=path)
        return DatetimeRange(field, **read, path=path)
    if any(times):
        raise InvalidArgument("the bounds of a range are all numbers or all times", field=path)
    numbers = {name: _number(value, f"{path}.{name}") for name, value in bounds.items()}
    return Range(field, **numbers, path=path)


def _time_bound(name: str, text: str, path: str) -> tuple[str, datetime]:
    """A bound in UTC. A date alone is all of its day: later than it is from the next day on."""
    try:
        moment: date | datetime = datetimes.parse(text)
        if isinstance(moment, datetime):
            return name, moment
        if name in ("gt", "lte"):
            name, moment = {"gt": "gte", "lte": "lt"}[name], moment + timedelta(days=1)
    except (ValueError, OverflowError):
        message = "a bound is a number, a time such as 2024-03-01T09:30:00Z or a date such as 2024-03-01"
        raise InvalidArgument(message, field=path) from None
    return name, datetimes.midnight(moment)


def _negated(condition: Condition, path: str) -> Filter:
    return Filter(must_not=(condition,), path=path)


def _scalars(values: Any, path: str) -> tuple[Scalar, ...]:
    entries = values if isinstance(values, list) else [values]
    if not entries:
        raise InvalidArgument("a list of values is empty", field=path)
    return tuple(_scalar(entry, path) for entry in entries)


def _scalar(value: Any, path: str) -> Scalar:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, float):
        raise InvalidArgument("fractions are not compared for equality; use gte and lte", field=path)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidArgument("a whole number has 64 bits", field=path)
    if not is_text(value) and not isinstance(value, int):
        hint = "; use is_empty for a field that has none" if value is None else ""
        raise InvalidArgument(f"a value is a string, a whole number, true or false{hint}", field=path)
    scalar: Scalar = value
    return scalar


def _switch(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidArgument("true or false is wanted", field=path)
    return value


def _number(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgument("a bound is a number", field=path)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidArgument("a bound is a finite number", field=path)
    return number


def _point(content: Any, path: str) -> Point:
    if not isinstance(content, dict) or content.keys() != {"lat", "lon"}:
        raise InvalidArgument("a place has lat and lon", field=path)
    point = Point(_number(content["lat"], f"{path}.lat"), _number(content["lon"], f"{path}.lon"))
    if not (-90 <= point.lat <= 90 and -180 <= point.lon <= 180):
        raise InvalidArgument("a place has lat from -90 to 90 and lon from -180 to 180", field=path)
    return point
