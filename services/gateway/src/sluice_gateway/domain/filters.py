"""The filter language of the REST API: plain, written out, or in Qdrant's words; read into one form. Pure."""

from typing import Any

from sluice_api.filtering import Condition, Empty, Filter
from sluice_gateway.domain.filter_operators import OPERATORS, conditions, is_text, one_of
from sluice_servicekit.errors import InvalidArgument

#: So deep may a filter be nested.
MAX_DEPTH = 4

_PARTS = {
    "must": "must",
    "and": "must",
    "should": "should",
    "or": "should",
    "must_not": "must_not",
    "not": "must_not",
}


def read(content: Any, path: str = "filter", depth: int = 1) -> Filter:
    """Reads a filter.

        {"lang": "en", "year": [2024, 2025], "price": {"lt": 50}}
        {"and": [{"field": "lang", "eq": "en"}], "or": […], "not": [{"field": "year", "lt": 2000}]}
        {"must": [{"key": "lang", "match": {"value": "en"}}, {"key": "year", "range": {"gte": 2024}}]}

    Raises:
        InvalidArgument: it is none of these; the error's field is the path of the part that is wrong.
    """
    if depth > MAX_DEPTH:
        raise InvalidArgument(f"the filter is nested deeper than {MAX_DEPTH}", field=path)
    if not isinstance(content, dict):
        raise InvalidArgument("a filter is an object", field=path)
    if content.keys() & _PARTS.keys():
        return _boolean(content, path, depth)
    if _is_condition(content):
        return Filter(must=(_condition(content, path, depth),), path=path)
    return Filter(must=tuple(_plain(field, value, path) for field, value in content.items()), path=path)


def _boolean(content: dict[str, Any], path: str, depth: int) -> Filter:
    parts: dict[str, tuple[Condition, ...]] = {}
    for name, entries in content.items():
        part = _PARTS.get(name)
        if part is None:
            raise InvalidArgument(f"{name!r} is none of {', '.join(_PARTS)}", field=path)
        if part in parts:
            raise InvalidArgument(f"{name!r} says what another word has said; give one of them", field=path)
        parts[part] = _conditions(entries, f"{path}.{name}", depth)
    return Filter(**parts, path=path)


def _conditions(content: Any, path: str, depth: int) -> tuple[Condition, ...]:
    if not isinstance(content, list):
        return (_condition(content, path, depth),)
    return tuple(_condition(entry, f"{path}[{index}]", depth) for index, entry in enumerate(content))


def _condition(content: Any, path: str, depth: int) -> Condition:
    if not isinstance(content, dict):
        raise InvalidArgument("a condition is an object", field=path)
    if content.keys() == {"is_empty"} and isinstance(content["is_empty"], dict):
        return Empty(_field(content["is_empty"].get("key"), path), path=path)
    field = content.get("field", content.get("key"))
    if field is None:
        return read(content, path, depth + 1)
    operators = {name: value for name, value in content.items() if name not in ("field", "key")}
    return conditions(_field(field, path), operators, path)


def _field(field: Any, path: str) -> str:
    if not is_text(field):
        raise InvalidArgument("a field is a string", field=path)
    return str(field)


def _is_condition(content: dict[str, Any]) -> bool:
    """Whether a filter is one condition, and not a plain form on fields of the names `field` and `eq`."""
    operators = content.keys() - {"field", "key"}
    return len(operators) < len(content) and bool(operators) and operators <= OPERATORS


def _plain(field: str, value: Any, path: str) -> Condition:
    here = f"{path}.{_field(field, path)}"
    return conditions(field, value, here) if isinstance(value, dict) else one_of(field, value, here)
