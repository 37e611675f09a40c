"""Checks a caller's filter before it reaches the engine: small, shallow, on well-formed fields."""

import re
from collections.abc import Iterator

from sluice_retriever.domain.model import Condition, Filter, Match
from sluice_servicekit.errors import InvalidArgument

MAX_CONDITIONS = 64
MAX_DEPTH = 4
MAX_VALUES = 256

#: Names parted by dots; what the engine's path language gives a meaning to is left out.
_FIELD = re.compile(r"[^\x00-\x1f\"\\.\[\]]{1,128}(\.[^\x00-\x1f\"\\.\[\]]{1,128}){0,7}")


def validate(filter_: Filter) -> None:
    """Raises `InvalidArgument`, naming the path of the part that is wrong."""
    for count, (path, depth, condition) in enumerate(_walk(filter_, "filter", 1)):
        if count == MAX_CONDITIONS:
            raise InvalidArgument(f"the filter has more than {MAX_CONDITIONS} conditions", field="filter")
        if depth > MAX_DEPTH:
            raise InvalidArgument(f"the filter is nested deeper than {MAX_DEPTH}", field=path)
        if not isinstance(condition, Filter):
            _check(condition, path)


def _check(condition: Condition, path: str) -> None:
    if isinstance(condition, Filter):
        return
    if not _FIELD.fullmatch(condition.field):
        raise InvalidArgument(f"{condition.field!r} is not a metadata field", field=f"{path}.field")
    if isinstance(condition, Match):
        _check_values(condition, path)
    elif condition.gt is condition.gte is condition.lt is condition.lte is None:
        raise InvalidArgument("a range needs at least one of gt, gte, lt, lte", field=path)


def _check_values(match: Match, path: str) -> None:
    if not 1 <= len(match.any_of) <= MAX_VALUES:
        raise InvalidArgument(f"a match needs 1 to {MAX_VALUES} values", field=path)
    if len({type(value) for value in match.any_of}) > 1:
        raise InvalidArgument("the values of a match must be of one type", field=path)


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
