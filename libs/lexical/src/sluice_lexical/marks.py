"""Citation marks in a text: which services write, check and resolve."""

import re
from collections.abc import Iterator

#: `[1]`, `[1, 3]`, `[2-4]`; not `[1](https://…)`, which is a link. The first group is what stands in the brackets.
MARK = re.compile(r"\[(\d{1,3}(?:\s?[,;–-]\s?\d{1,3}){0,16})\](?!\()")
_NUMBERS = re.compile(r"(\d{1,3})(?:\s?[–-]\s?(\d{1,3}))?")
#: Ranges are not counted out beyond this many passages.
_WIDEST_RANGE = 100


def numbers(mark: re.Match[str]) -> Iterator[int]:
    """The numbers of a mark, ranges counted out."""
    for match in _NUMBERS.finditer(mark[1]):
        first, last = int(match[1]), int(match[2] or match[1])
        yield from range(first, min(last, first + _WIDEST_RANGE) + 1)
