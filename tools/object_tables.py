"""Tables of the objects' reference, from their schemas."""

import json
from collections.abc import Iterator
from typing import Any

from sluice_api.objects.base import DURATION_PATTERN

Schema = dict[str, Any]

_PLAIN = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "yes or no",
    "object": "object",
}


def table(*head: str, rows: list[tuple[str, ...]]) -> str:
    """A table in Markdown; empty where there are no rows."""
    if not rows:
        return ""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def fields(schema: Schema, path: str, shown: dict[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """Path, type, default and meaning of everything that a schema has.

    Args:
        shown: By their fields, where objects have been shown; what is there is not shown again.
    """
    for name, each in schema.get("properties", {}).items():
        where = f"{path}.{name}"
        default = "required" if name in schema.get("required", ()) else _default(each)
        inner, inside = _inner(each, where)
        before = shown.setdefault(_fields_of(inner), inside) if inner.get("properties") else inside
        like = "" if before == inside else f", as `{before}`"
        yield f"`{where}`", _type(each) + like, default, each.get("description", "")
        if not like:
            yield from fields(inner, inside, shown)


def _fields_of(schema: Schema) -> str:
    said = {name: schema.get(name) for name in ("properties", "required", "x-kubernetes-validations")}
    return json.dumps(said, sort_keys=True)


def rules(schema: Schema, path: str) -> Iterator[tuple[str, str]]:
    """Path and message of every rule between fields."""
    for rule in schema.get("x-kubernetes-validations", ()):
        yield f"`{path}`", rule["message"]
    for name, each in schema.get("properties", {}).items():
        yield from rules(each, f"{path}.{name}")
    inner, where = _inner(schema, path)
    if inner is not schema:
        yield from rules(inner, where)


def _inner(schema: Schema, path: str) -> tuple[Schema, str]:
    """What a list or a map holds; an object itself."""
    if "items" in schema:
        return schema["items"], f"{path}[]"
    if "additionalProperties" in schema:
        return schema["additionalProperties"], f"{path}.NAME"
    return schema, path


def _type(schema: Schema) -> str:
    if "items" in schema:
        return f"list of {_type(schema['items'])}" + _count(schema, "Items")
    if "additionalProperties" in schema:
        return f"map of {_type(schema['additionalProperties'])}" + _count(schema, "Properties")
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("pattern") == DURATION_PATTERN:
        return "duration"
    if "x-kubernetes-int-or-string" in schema:
        return "quantity"
    plain = _PLAIN.get(schema.get("type", ""), "anything")
    return plain + (_range(schema) or _count(schema, "Length"))


def _range(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is None and most is None:
        return ""
    from_ = "" if least is None else f"{'above ' if schema.get('exclusiveMinimum') else ''}{least:,}"
    to = "" if most is None else f"{'below ' if schema.get('exclusiveMaximum') else ''}{most:,}"
    if not to:
        return f", {from_} or more"
    return f", {from_} to {to}" if from_ else f", up to {to}"


def _count(schema: Schema, of: str) -> str:
    least, most = schema.get(f"min{of}", 0), schema.get(f"max{of}")
    if most is None:
        return ""
    characters = " characters" if of == "Length" else ""
    return f", {least:,} to {most:,}{characters}" if least else f", up to {most:,}{characters}"


def _default(schema: Schema) -> str:
    default = schema.get("default")
    if schema.get("properties"):
        said = default if _filled(schema, default or {}) != _filled(schema, {}) else {}
        return "; ".join(f"{name} {_default({'default': each})}" for name, each in said.items())
    if default is None or default in ("", [], {}):
        return ""
    if isinstance(default, list):
        every = schema.get("items", {}).get("enum")
        return "all" if default == every and len(default) > 1 else ", ".join(f"`{each}`" for each in default)
    if isinstance(default, dict):
        return ", ".join(f"`{key}: {value}`" for key, value in default.items())
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _filled(schema: Schema, value: Any) -> Any:
    """A value with what the API server fills in."""
    if not isinstance(value, dict):
        return value
    inner = schema.get("properties", {})
    found = {name: each["default"] for name, each in inner.items() if "default" in each} | value
    return {name: _filled(inner.get(name, {}), each) for name, each in found.items()}


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
