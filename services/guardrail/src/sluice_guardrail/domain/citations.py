"""Citation marks of an answer: where they stand and which passages they name."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sluice_guardrail.domain.model import Span
from sluice_lexical.marks import MARK, numbers

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]{1,400}`", re.DOTALL)
#: Characters before a mark that must stand in a passage with it for the mark to be part of a quotation.
_QUOTED_BEFORE = 16


@dataclass(frozen=True, slots=True)
class Citation:
    """One mark."""

    span: Span
    numbers: tuple[int, ...]


def citations(text: str, passages: Sequence[str]) -> Iterator[Citation]:
    """The marks of an answer in order; marks in code and in quotations of a passage are not citations."""
    code = [match.span() for match in _CODE.finditer(text)]
    for match in MARK.finditer(text):
        start, end = match.start(), match.end()
        if any(begin <= start < stop for begin, stop in code):
            continue
        quoted = text[max(0, start - _QUOTED_BEFORE) : end]
        if len(quoted) > end - start and any(quoted in passage for passage in passages):
            continue
        yield Citation(Span(start, end), tuple(numbers(match)))


def without_marks(text: str) -> str:
    """The text without citation marks."""
    return MARK.sub("", text)
