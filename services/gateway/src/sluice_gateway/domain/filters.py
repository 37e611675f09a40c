"""The filter language of the REST API: plain, written out, or in Qdrant's words; read into one form. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluice_servicekit.errors import InvalidArgument

Scalar = str | int | bool


@dataclass(frozen=True, slots=True)
class Match:
    """The field has one of the values."""

    field: str
    any_of: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The numeric field lies within the bounds given: `gt`, `gte`, `lt`, `lte`."""

    field: str
    bounds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Boolean:
    """All of `must`, one of `should`, none of `must_not`."""

    must: tuple["Condition", ...] = ()
    should: tuple["Condition", ...] = ()
    must_not: tuple["Condition", ...] = ()


Condition = Match | Range | Boolean

_PARTS = ("must", "should", "must_not")
_BOUNDS = ("gt", "gte", "lt", "lte")
_MAX_DEPTH = 8


def read(content: Any, path: str = "filter", depth: int = 0) -> Boolean:
    """Reads a filter.

        {"lang": "en", "year": [2024, 2025]}
        {"must": [{"field": "lang", "eq": "en"}], "should": […], "must_not": [{"field": "year", "lt": 2000}]}
        {"must": [{"key": "lang", "match": {"value": "en"}}, {"key": "year", "range": {"gte": 2024}}]}

    Raises:
        InvalidArgument: it is none of these; the error's field is the path of the part that is wrong.
    """
    if depth > _MAX_DEPTH:
        raise InvalidArgument("the filter is nested too deeply", field=path)
    if not isinstance(content, dict):
        raise InvalidArgument("a filter is an object", field=path)
    if any(part in content for part in _PARTS):
        if unknown := set(content) - set(_PARTS):
            raise InvalidArgument(f"{min(unknown)!r} is none of must, should, must_not", field=path)
        parts = {part: _conditions(content.get(part, []), f"{path}.{part}", depth) for part in _PARTS}
        return Boolean(**parts)
    return Boolean(must=tuple(_plain(field, value, f"{path}.{field}") for field, value in content.items()))


def _conditions(content: Any, path: str, depth: int) -> tuple[Condition, ...]:
    entries = content if isinstance(content, list) else [content]
    return tuple(_condition(entry, f"{path}[{index}]", depth) for index, entry in enumerate(entries))


def _condition(content: Any, path: str, depth: int) -> Condition:
    if not isinstance(content, dict):
        raise InvalidArgument("a condition is an object", field=path)
    field = content.get("field", content.get("key"))
    if field is None:
        return read(content, path, depth + 1)
    if not isinstance(field, str):
        raise InvalidArgument("a field is a string", field=path)
    operators = {name: value for name, value in content.items() if name not in ("field", "key")}
    match = operators.pop("match", None)
    if isinstance(match, dict):
        operators |= {_QDRANT.get(name, name): value for name, value in match.items()}
    if isinstance(span := operators.pop("range", None), dict):
        operators |= span
    return _operator(field, operators, path)


_QDRANT = {"value": "eq", "any": "in"}


def _operator(field: str, operators: dict[str, Any], path: str) -> Condition:
    names = set(operators)
    if names and names <= set(_BOUNDS):
        return Range(field, {name: _number(operators[name], f"{path}.{name}") for name in sorted(names)})
    if names == {"eq"}:
        return Match(field, (_scalar(operators["eq"], f"{path}.eq"),))
    if names == {"in"}:
        return _plain(field, operators["in"], f"{path}.in")
    raise InvalidArgument("a condition needs one of eq, in, or some of gt, gte, lt, lte", field=path)


def _plain(field: str, value: Any, path: str) -> Match:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise InvalidArgument("a list of values is empty", field=path)
    return Match(field, tuple(_scalar(entry, path) for entry in values))


def _scalar(value: Any, path: str) -> Scalar:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, str | int | bool):
        raise InvalidArgument("a value is a string, a whole number, true or false", field=path)
    return value


def _number(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgument("a bound is a number", field=path)
    return float(value)
