"""Up to where the text of an unfinished answer may leave. Pure.

What is held back is what may still turn out to be part of something: no half of a value, placeholder or canary leaves.
"""

import re
from collections.abc import Iterable

from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.redacting.placeholders import mentions

#: The end of a sentence or line, once it is clear that no citation mark follows. What is blank within a number, or
#: between its groups of letters and digits, ends nothing: its first half must not leave alone.
_FINISHED = re.compile(
    r"(?P<number>[0-9A-Z]\s+(?=[0-9])|[0-9]\s+(?=[A-Z]))"
    r"|(?:[.!?]['\")\]”’»]*\s+|[。！？]|\n)(?=[^\s\[])"
)
_BLANK = re.compile(r"\s+")
#: Characters that are looked through again for an end, and the most of a gap.
_LOOK_BACK, _WIDEST_GAP = 8, 256
#: Characters behind a sentence's end that are screened with it: a word there may say what a number before it is.
AHEAD = 32
#: Characters without an end of a sentence from which on text leaves at a blank, and at any place.
_LONG, _LONGEST = 320, 960
#: What stays behind then: more than anything that holds blanks takes, and more than an e-mail address does.
_BEHIND_BLANK, _BEHIND = 96, 352


class Ends:
    """Finds where sentences end in a text that grows at its end and is cut at its start. Linear over all calls."""

    def __init__(self) -> None:
        self._searched = 0
        self._end = 0

    def last(self, text: str) -> int:
        """The last end with `AHEAD` characters behind it; 0 where there is none."""
        stop = len(text) - AHEAD
        for match in _FINISHED.finditer(text, self._from(text)):
            if match.end() > stop:
                break
            self._end = self._end if match["number"] else match.end()
        self._searched = max(self._searched, stop)
        return self._end

    def cut(self, count: int) -> None:
        """So many characters were cut from the start."""
        self._searched = max(0, self._searched - count)
        self._end = max(0, self._end - count)

    def _from(self, text: str) -> int:
        """Where to look on: a little before what was searched, and never within a gap: what is before it counts."""
        start = max(0, self._searched - _LOOK_BACK)
        while start > max(0, self._searched - _WIDEST_GAP) and text[start].isspace():
            start -= 1
        return start


def forced(text: str, fresh: int) -> int:
    """Where to cut what goes on without an end: at a blank, or anywhere once it is very long.

    Args:
        fresh: Where in the text begins what has not left.

    Returns:
        `fresh` where nothing needs to leave yet.
    """
    if len(text) - fresh < _LONG:
        return fresh
    blanks = [match.end() for match in _BLANK.finditer(text, fresh, len(text) - _BEHIND_BLANK)]
    if blanks:
        return blanks[-1]
    return len(text) - _BEHIND if len(text) - fresh >= _LONGEST else fresh


def held(text: str, cut: int, redacted: Iterable[Span]) -> int:
    """The cut, moved before what it would part: a placeholder, or a place that is redacted and may still go on.

    Args:
        redacted: What the policy redacts of the text, in any order.
    """
    # What ends with the text may be the beginning of something longer.
    whole = [Span(span.start, span.end + (span.end == len(text))) for span in redacted]
    whole += [span for span, _ in mentions(text)]
    for span in sorted(whole, key=lambda each: -each.start):
        if span.start < cut < span.end:
            cut = span.start
    return cut
