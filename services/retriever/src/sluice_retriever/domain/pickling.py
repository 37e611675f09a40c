"""Small things that cross a process border by the hundred."""

from dataclasses import fields
from operator import attrgetter
from typing import TypeVar

T = TypeVar("T")


def by_position(of: type[T]) -> type[T]:
    """Has a frozen dataclass of two fields or more pickled as its constructor's arguments.

    One with slots else looks up its fields each time: for a search's passages that took longer than the search.
    """
    values = attrgetter(*(field.name for field in fields(of)))  # type: ignore[arg-type]  # a dataclass
    setattr(of, "__reduce__", lambda self: (of, values(self)))  # noqa: B010 - no attribute that a type checker knows
    return of
