"""A question's words and their places, and the words of a field in it. Pure."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Set
from dataclasses import dataclass

from sluice_api.objects.knowledge_base import MetadataField

#: Words, and every other sign by itself; a hyphen parts words like a blank.
_WORD = re.compile(r"[^\W_]+|[^\w\s-]")

#: What may stand between a field's name and what is said of it.
_FILLERS = frozenset(
    "is are was were be been of the that which has have at with in on for : = ist sind war waren wird liegt von bei im"
    " am vom der die das dem mit zum auf".split()
)
_MOST_FILLERS = 3

_DATE_SUFFIXES = frozenset({"at", "on", "date"})

Cue = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the question, half open, in code points."""

    start: int
    end: int

    def overlaps(self, other: "Span") -> bool:
        """Whether they share a character."""
        return self.start < other.end and other.start < self.end

    def with_(self, other: "Span") -> "Span":
        """From where the first starts to where the last ends."""
        return Span(min(self.start, other.start), max(self.end, other.end))


def split(text: str) -> Cue:
    """A text's words, in lower case."""
    return tuple(match.group().lower() for match in _WORD.finditer(text))


def cues(field: MetadataField) -> frozenset[Cue]:
    """What a field is called: its name, the last part of it, and its aliases. A boolean's name is no name: `public`
    may be said of anything."""
    names = {split(alias) for alias in field.aliases}
    for name in (field.name, field.name.rpartition(".")[2]):
        parts = split(name.replace("_", " "))
        names |= {parts, parts[:-1]} if parts[-1:] and parts[-1] in _DATE_SUFFIXES else {parts}
    return frozenset(filter(None, names))


class Question:
    """A question's words.

    Args:
        text: The question.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        found = list(_WORD.finditer(text))
        self.words = [match.group().lower() for match in found]
        self._starts = [match.start() for match in found]
        self._ends = [match.end() for match in found]

    def places(self, wanted: Cue) -> Iterable[Span]:
        """Where these words stand in a row."""
        for index, word in enumerate(self.words):
            if word == wanted[0] and tuple(self.words[index : index + len(wanted)]) == wanted:
                yield Span(self._starts[index], self._ends[index + len(wanted) - 1])

    def named(self, names: Set[Cue], at: Span) -> Span | None:
        """The part of the question from a field's name to what is said of it, where the name stands in that, right
        before or right after it."""
        first, last = bisect_left(self._starts, at.start), bisect_right(self._ends, at.end)
        inside = self.words[first:last]
        if any(
            tuple(inside[index : index + len(name)]) == name for name in names for index in range(len(inside))
        ):
            return at
        before = first
        for _ in range(_MOST_FILLERS + 1):
            for name in names:
                start = before - len(name)
                if start >= 0 and _same(self.words[start:before], name):
                    return Span(self._starts[start], at.end)
            if before == 0 or self.words[before - 1] not in _FILLERS:
                break
            before -= 1
        for name in names:
            end = last + len(name)
            if _same(self.words[last:end], name):
                return Span(at.start, self._ends[end - 1])
        return None

    def reaching_back(self, at: Span, count: int) -> Span:
        """The same with so many words before it."""
        first = bisect_left(self._starts, at.start)
        return Span(self._starts[max(0, first - count)], at.end)

    def before(self, at: int, count: int) -> list[str]:
        """The words that end before a place, `count` at most."""
        last = bisect_right(self._ends, at)
        return self.words[max(0, last - count) : last]

    def after(self, at: int, count: int) -> list[str]:
        """The words that start after a place, `count` at most."""
        first = bisect_left(self._starts, at)
        return self.words[first : first + count]

    def between(self, one: Span, other: Span) -> list[str]:
        """The words between two parts of the question."""
        first, second = sorted((one, other), key=lambda span: span.start)
        return self.words[bisect_left(self._starts, first.end) : bisect_right(self._ends, second.start)]


def _same(words: list[str], name: Cue) -> bool:
    """Whether these are a name's words, the last one perhaps in the plural."""
    if len(words) != len(name) or not words:
        return False
    return tuple(words[:-1]) == name[:-1] and words[-1] in (name[-1], name[-1] + "s")
