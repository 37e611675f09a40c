"""The sentences of a stretch of folded text: what is marked or dropped should end where a sentence does."""

import re
from itertools import pairwise

from sluice_guardrail.domain.model import Span

_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+|[。！？\n]+\s*")
#: Characters before and after the stretch in which its first sentence begins and its last one ends.
_LONGEST = 400


def sentences(text: str, start: int, end: int) -> list[Span]:
    """Those that `[start, end)` touches, whole and without the blanks between them."""
    low, high = max(0, start - _LONGEST), min(len(text), end + _LONGEST)
    cuts = [low, *(match.end() for match in _END.finditer(text, low, high)), high]
    touched = [(first, last) for first, last in pairwise(cuts) if first < end and last > start]
    spans = [Span(first, first + len(text[first:last].rstrip())) for first, last in touched]
    return [span for span in spans if span.start < span.end]
