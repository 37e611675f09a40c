"""Objects made from a schema: with every field that there is, and one kind of bound broken, or just kept, in every
place that has it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]

#: Values of strings: the first that fits is taken.
_FITTING = ("a", "60s", "http://a", "/a", "abort", "1Gi", "sha256:" + "0" * 64)
_UNFIT = ("-/ ", "\n")
_KEYS = ("the keys must be among ", "the channels of a calibration are ")


class _Nothing:
    """The schema has no such bound."""


NOTHING = _Nothing()

#: The value for a schema, or `NOTHING`.
Choice = Callable[[Schema], Any]


@dataclass(frozen=True)
class Bound:
    """A kind of bound."""

    name: str
    broken: Choice
    kept: Choice

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Sample:
    """A value, and where in it something was chosen."""

    value: Any
    places: frozenset[str]


def sample(schema: Schema, choice: Choice, path: str) -> Sample:
    """A value with every field, chosen where there is something to choose, and fitting everywhere else."""
    places: list[str] = []
    return Sample(_value(schema, path, choice, places), frozenset(places))


def _value(schema: Schema, path: str, choice: Choice, places: list[str]) -> Any:
    chosen = choice(schema)
    if chosen is not NOTHING:
        places.append(path)
        return chosen
    match schema.get("type"):
        case "object" if "additionalProperties" in schema:
            key, values = _key(schema, 0), schema["additionalProperties"]
            return {key: _value(values, f"{path}.{key}", choice, places)}
        case "object":
            fields = schema.get("properties", {})
            return {name: _value(each, f"{path}.{name}", choice, places) for name, each in fields.items()}
        case "array":
            least = range(max(1, schema.get("minItems", 1)))
            return [_value(schema["items"], f"{path}.{index}", choice, places) for index in least]
    return _scalar(schema)


def without_required(schema: Schema, path: str) -> Sample:
    """A value with every field that there is but the scalars that have to be there; they are the places."""
    places: list[str] = []

    def strip(value: Any, schema: Schema, path: str) -> Any:
        if isinstance(value, list):
            items = schema["items"]
            return [strip(each, items, f"{path}.{index}") for index, each in enumerate(value)]
        if not isinstance(value, dict):
            return value
        found = {}
        for name, each in value.items():
            inner = schema["properties"][name] if "properties" in schema else schema["additionalProperties"]
            if name in schema.get("required", ()) and not isinstance(each, dict | list):
                places.append(f"{path}.{name}")
            else:
                found[name] = strip(each, inner, f"{path}.{name}")
        return found

    value = strip(_fitting(schema), schema, path)
    return Sample(value, frozenset(places))


def _fitting(schema: Schema) -> Any:
    return _value(schema, "", lambda schema: NOTHING, [])


def _scalar(schema: Schema) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    match "string" if "x-kubernetes-int-or-string" in schema else schema.get("type"):
        case "boolean":
            return True
        case "integer" | "number":
            lowest, highest = schema.get("minimum", 1), schema.get("maximum", schema.get("minimum", 1) + 2)
            return (lowest + highest) / 2 if schema.get("exclusiveMinimum") else lowest
        case "string":
            return next(each for each in _FITTING if _fits(schema, each))
    return 1 if schema.get("x-kubernetes-int-or-string") else "a"


def _fits(schema: Schema, text: str) -> bool:
    lengths = range(schema.get("minLength", 0), schema["maxLength"] + 1)
    return len(text) in lengths and re.search(schema.get("pattern", ""), text) is not None


def _key(schema: Schema, index: int) -> str:
    for rule in schema.get("x-kubernetes-validations", ()):
        for start in _KEYS:
            if rule["message"].startswith(start):
                known = rule["message"].removeprefix(start).split(", ")
                return str(known[index]) if index < len(known) else f"a{index}"
    return f"a{index}"


def _of(bound: str, value: Callable[[Schema], Any], of: str = "") -> Choice:
    def choose(schema: Schema) -> Any:
        return value(schema) if bound in schema and of in ("", schema.get("type")) else NOTHING

    return choose


def _below(schema: Schema) -> Any:
    return schema["minimum"] - (0 if schema.get("exclusiveMinimum") else 1)


def _above(schema: Schema) -> Any:
    return schema["maximum"] + (0 if schema.get("exclusiveMaximum") else 1)


def _within(bound: str, exclusive: str) -> Callable[[Schema], Any]:
    return lambda schema: NOTHING if schema.get(exclusive) else schema[bound]


def _unfit(schema: Schema) -> Any:
    return next(each for each in _UNFIT if not re.search(schema["pattern"], each))


def _longest(schema: Schema) -> Any:
    if "enum" in schema:
        return NOTHING
    length = schema["maxLength"]
    for start in _FITTING:
        text = start + start[-1] * (length - len(start))
        if _fits(schema, text):
            return text
    return NOTHING


def _items(count: Callable[[Schema], int]) -> Callable[[Schema], Any]:
    return lambda schema: [_fitting(schema["items"]) for _ in range(count(schema))]


def _properties(count: Callable[[Schema], int]) -> Callable[[Schema], Any]:
    def choose(schema: Schema) -> Any:
        values = schema.get("additionalProperties", {})
        return {_key(schema, index): _fitting(values) for index in range(count(schema))}

    return choose


BOUNDS = (
    Bound("minimum", _of("minimum", _below), _of("minimum", _within("minimum", "exclusiveMinimum"))),
    Bound("maximum", _of("maximum", _above), _of("maximum", _within("maximum", "exclusiveMaximum"))),
    Bound("enum", _of("enum", lambda schema: "none such"), _of("enum", lambda schema: schema["enum"][-1])),
    Bound("pattern", _of("pattern", _unfit), _of("pattern", _scalar)),
    Bound(
        "minLength",
        _of("minLength", lambda schema: "b" * (schema["minLength"] - 1)),
        _of("minLength", _scalar),
    ),
    Bound(
        "maxLength",
        _of("maxLength", lambda schema: "a" * (schema["maxLength"] + 1)),
        _of("maxLength", _longest),
    ),
    Bound(
        "minItems",
        _of("minItems", _items(lambda schema: schema["minItems"] - 1)),
        _of("minItems", _items(lambda schema: schema["minItems"])),
    ),
    Bound(
        "maxItems",
        _of("maxItems", _items(lambda schema: schema["maxItems"] + 1)),
        _of("maxItems", _items(lambda schema: schema["maxItems"])),
    ),
    Bound(
        "maxProperties",
        _of("maxProperties", _properties(lambda schema: schema["maxProperties"] + 1)),
        _of("maxProperties", _properties(lambda schema: schema["maxProperties"])),
    ),
)
