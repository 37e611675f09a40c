"""Checks a caller's filter before it reaches the engine: small, shallow, on well-formed fields that there are."""

import math
import re
from collections.abc import Iterator, Sequence

from sluice_api.filtering import (
    BOUNDS,
    Condition,
    DatetimeRange,
    Empty,
    Filter,
    GeoBox,
    GeoRadius,
    Leaf,
    Match,
    Point,
    Range,
    Words,
    bounds,
)
from sluice_api.objects.knowledge_base import MetadataField
from sluice_retriever.domain import fields
from sluice_servicekit.errors import InvalidArgument

MAX_CONDITIONS = 64
#: Two more than the REST API lets a caller write: a negation, and several operators on one field, nest once each.
MAX_DEPTH = 6
MAX_VALUES = 256
MAX_WORDS_CHARACTERS = 1024

#: Half of earth's circumference is 20,038 km.
_MAX_RADIUS = 20_100_000.0

#: Names parted by dots; what the engine's path language gives a meaning to is left out.
_FIELD = re.compile(r"[^\x00-\x1f\"\\.\[\]]{1,128}(\.[^\x00-\x1f\"\\.\[\]]{1,128}){0,7}")


def validate(filter_: Filter, declared: Sequence[MetadataField] = ()) -> None:
    """Refuses a filter that is malformed or, where fields are declared, names others or asks what their type has not.

    Raises:
        InvalidArgument: the error's field is the path of the part that is wrong.
    """
    for count, (place, depth, condition) in enumerate(_walk(filter_, "filter", 1)):
        path = condition.path or place
        if count == MAX_CONDITIONS:
            raise InvalidArgument(f"the filter has more than {MAX_CONDITIONS} conditions", field="filter")
        if depth > MAX_DEPTH:
            raise InvalidArgument(f"the filter is nested deeper than {MAX_DEPTH}", field=path)
        if not isinstance(condition, Filter):
            named = condition.path or f"{place}.field"
            if not _FIELD.fullmatch(condition.field):
                raise InvalidArgument(f"{condition.field!r} is not a metadata field", field=named)
            _check(condition, path)
            fields.check(condition, declared, named)


def _check(condition: Leaf, path: str) -> None:
    match condition:
        case Match():
            wrong = _wrong_values(condition)
        case Range() | DatetimeRange():
            wrong = _wrong_bounds(condition)
        case GeoRadius():
            wrong = _wrong_point(condition.center) or (
                "" if 0 < condition.radius <= _MAX_RADIUS else "a radius is in metres, and of this earth"
            )
        case GeoBox():
            wrong = _wrong_point(condition.top_left) or _wrong_point(condition.bottom_right)
            if not wrong and condition.top_left.lat <= condition.bottom_right.lat:
                wrong = "a box's top_left is north of its bottom_right"
        case Words():
            wrong = _wrong_words(condition.text)
        case Empty():
            wrong = ""
    if wrong:
        raise InvalidArgument(wrong, field=path)


def _wrong_values(condition: Match) -> str:
    if not 1 <= len(condition.any_of) <= MAX_VALUES:
        return f"a match needs 1 to {MAX_VALUES} values"
    if len({type(value) for value in condition.any_of}) > 1:
        return "the values of a match must be of one type"
    return ""


def _wrong_bounds(condition: Range | DatetimeRange) -> str:
    given = bounds(condition).values()
    if not given:
        return f"a range needs at least one of {', '.join(BOUNDS)}"
    if not all(math.isfinite(bound) for bound in given if isinstance(bound, float)):
        return "a bound is a finite number"
    return ""


def _wrong_point(point: Point) -> str:
    within = -90 <= point.lat <= 90 and -180 <= point.lon <= 180
    return "" if within else "a place has lat from -90 to 90 and lon from -180 to 180"


def _wrong_words(text: str) -> str:
    if len(text) > MAX_WORDS_CHARACTERS:
        return f"the words to look for are longer than {MAX_WORDS_CHARACTERS} characters"
    return "" if any(character.isalnum() for character in text) else "there is no word to look for"


def _walk(filter_: Filter, path: str, depth: int) -> Iterator[tuple[str, int, Condition]]:
    for name, conditions in (
        ("must", filter_.must),
        ("should", filter_.should),
        ("must_not", filter_.must_not),
    ):
        for index, condition in enumerate(conditions):
            here = f"{path}.{name}[{index}]"
            yield here, depth, condition
            if isinstance(condition, Filter):
                yield from _walk(condition, here, depth + 1)
