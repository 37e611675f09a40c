"""Citation marks of an answer: where they stand and which passages they name."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sluice_guardrail.domain.model import Span

#: `[1]`, `[1, 3]`, `[2-4]`; not `[1](https://…)`, which is a link.
_MARK = re.compile(r"\[(\d{1,3}(?:\s?[,;–-]\s?\d{1,3}){0,16})\](?!\()")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]{1,400}`", re.DOTALL)
_NUMBERS = re.compile(r"(\d{1,3})(?:\s?[–-]\s?(\d{1,3}))?")
#: Characters before a mark that must stand in a passage with it for the mark to be part of a quotation.
_QUOTED_BEFORE = 16
#: Ranges are not counted out beyond this many passages.
_WIDEST_RANGE = 100


@dataclass(frozen=True, slots=True)
class Citation:
    """One mark."""

    span: Span
    numbers: tuple[int, ...]


def citations(text: str, passages: Sequence[str]) -> Iterator[Citation]:
    """The marks of an answer in order; marks in code and in quotations of a passage are not citations."""
    code = [match.span() for match in _CODE.finditer(text)]
    for match in _MARK.finditer(text):
        start, end = match.start(), match.end()
        if any(begin <= start < stop for begin, stop in code):
            continue
        quoted = text[max(0, start - _QUOTED_BEFORE) : end]
        if len(quoted) > end - start and any(quoted in passage for passage in passages):
            continue
        yield Citation(Span(start, end), tuple(_numbers(match[1])))


def without_marks(text: str) -> str:
    """The text without citation marks."""
    return _MARK.sub("", text)


def _numbers(mark: str) -> Iterator[int]:
    for match in _NUMBERS.finditer(mark):
        first, last = int(match[1]), int(match[2] or match[1])
        yield from range(first, min(last, first + _WIDEST_RANGE) + 1)
