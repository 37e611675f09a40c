"""Declared metadata fields: what a filter may ask of each, and which values documents may have in them. Pure."""

from collections.abc import Callable, Mapping, Sequence

from sluice_api import datetimes
from sluice_api.filtering import (
    DatetimeRange,
    Empty,
    GeoBox,
    GeoRadius,
    Leaf,
    Match,
    Range,
    Words,
)
from sluice_api.objects.knowledge_base import FieldType, MetadataField
from sluice_retriever.domain.metadata import Json
from sluice_servicekit.errors import InvalidArgument

#: Conditions that each type knows, beside being empty.
_CONDITIONS: dict[FieldType, tuple[type, ...]] = {
    FieldType.KEYWORD: (Match,),
    FieldType.INTEGER: (Match, Range),
    FieldType.FLOAT: (Range,),
    FieldType.BOOL: (Match,),
    FieldType.DATETIME: (DatetimeRange,),
    FieldType.GEO: (GeoRadius, GeoBox),
    FieldType.TEXT: (Words,),
}

#: The same in the REST API's words, for errors.
_OPERATORS = {
    FieldType.KEYWORD: "eq, ne, in, not_in, any, all or none with strings",
    FieldType.INTEGER: "eq, ne, in, not_in, any, all or none with whole numbers, or gt, gte, lt, lte with numbers",
    FieldType.FLOAT: "gt, gte, lt, lte with numbers, since fractions are not compared for equality",
    FieldType.BOOL: "eq or ne with true or false",
    FieldType.DATETIME: "gt, gte, lt, lte with RFC 3339 or dates",
    FieldType.GEO: "geo_radius or geo_bounding_box",
    FieldType.TEXT: "contains",
}

_VALUES: dict[FieldType, type] = {FieldType.KEYWORD: str, FieldType.INTEGER: int, FieldType.BOOL: bool}

_MOST_NAMES = 32


def check(condition: Leaf, declared: Sequence[MetadataField], path: str) -> None:
    """Refuses a condition on a field that is not declared, or one that its type has not. Any where none is declared.

    Raises:
        InvalidArgument: of reason `UNKNOWN_FIELD` or `FIELD_TYPE`.
    """
    if not declared:
        return
    type_ = next((field.type for field in declared if field.name == condition.field), None)
    if type_ is None:
        names = ", ".join(sorted(field.name for field in declared)[:_MOST_NAMES])
        more = ", …" if len(declared) > _MOST_NAMES else ""
        message = f"{condition.field!r} is no field of this knowledge base; there are {names}{more}"
        raise InvalidArgument(message, reason="UNKNOWN_FIELD", field=path)
    if not _asks(condition, type_):
        message = f"{condition.field!r} is a {type_} field; ask exists, is_empty, or {_OPERATORS[type_]}"
        raise InvalidArgument(message, reason="FIELD_TYPE", field=path)


def _asks(condition: Leaf, type_: FieldType) -> bool:
    if isinstance(condition, Match):
        # By type and not by isinstance: True is an int to Python.
        return Match in _CONDITIONS[type_] and {type(value) for value in condition.any_of} == {_VALUES[type_]}
    return isinstance(condition, (*_CONDITIONS[type_], Empty))


def refusal(metadata: Mapping[str, Json], declared: Sequence[MetadataField]) -> str:
    """Why a document's metadata cannot be stored beside these fields; empty where it can.

    A field may be absent or null, or a list whose elements all are of its type.
    """
    for field in declared:
        for value in _values(metadata, field.name):
            if not _IS[field.type](value):
                return f"metadata field {field.name!r} is {_shown(value)}, and not {_WANTED[field.type]}"
    return ""


def index_kinds(declared: Sequence[MetadataField]) -> dict[str, FieldType]:
    """Declared fields that get an index of their own, by name. Booleans get none: they are asked for by the lists of
    true and of false fields."""
    return {field.name: field.type for field in declared if field.type is not FieldType.BOOL}


def _values(metadata: Mapping[str, Json], name: str) -> Sequence[Json]:
    found: Json = metadata
    for part in name.split("."):
        if not isinstance(found, Mapping):
            return ()  # the engines do not look into lists of objects
        found = found.get(part)
    values = found if isinstance(found, Sequence) and not isinstance(found, str) else (found,)
    return [value for value in values if value is not None]


def _is_datetime(value: Json) -> bool:
    if not isinstance(value, str):
        return False
    try:
        datetimes.parse(value)
    except ValueError:
        return False
    return True


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_place(value: Json) -> bool:
    if not isinstance(value, Mapping) or not value.keys() >= {"lat", "lon"}:
        return False
    lat, lon = value["lat"], value["lon"]
    return (
        isinstance(lat, int | float)
        and isinstance(lon, int | float)
        and not isinstance(lat, bool)
        and not isinstance(lon, bool)
        and -90 <= lat <= 90
        and -180 <= lon <= 180
    )


_IS: dict[FieldType, Callable[[Json], bool]] = {
    FieldType.KEYWORD: lambda value: isinstance(value, str),
    FieldType.INTEGER: lambda value: isinstance(value, int) and not isinstance(value, bool),
    FieldType.FLOAT: _is_number,
    FieldType.BOOL: lambda value: isinstance(value, bool),
    FieldType.DATETIME: _is_datetime,
    FieldType.GEO: _is_place,
    FieldType.TEXT: lambda value: isinstance(value, str),
}

_WANTED = {
    FieldType.KEYWORD: "a string",
    FieldType.INTEGER: "a whole number",
    FieldType.FLOAT: "a number",
    FieldType.BOOL: "true or false",
    FieldType.DATETIME: "RFC 3339 or a date",
    FieldType.GEO: 'a place such as {"lat": 52.5, "lon": 13.4}',
    FieldType.TEXT: "a string",
}


def _shown(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 64 else text[:63] + "…"
