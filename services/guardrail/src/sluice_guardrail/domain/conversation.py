"""Texts of one origin read on end, so that what is split over two of them is seen whole."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from sluice_guardrail.domain.model import Channel, Span
from sluice_guardrail.domain.texts import Text

#: Of a long text only this much at either end is read on end with its neighbours, in code points.
_END = 500
#: Texts that are read on end, the latest ones.
_MOST = 64


@dataclass(frozen=True)
class Conversation:
    """Texts of one channel and role in their order, each with the segment it is."""

    parts: tuple[tuple[int, Text], ...]

    @cached_property
    def joined(self) -> Text:
        """The ends of all texts as one."""
        first = self.parts[0][1]
        return Text("".join(stretch for stretch, _, _ in self._stretches), first.channel, first.role)

    def place(self, span: Span) -> tuple[int, Span]:
        """The segment where a span of the joined text starts, and as much of the span as lies in it."""
        at = max(0, bisect_right(self._starts, span.start) - 1)
        _, part, offset = self._stretches[at]
        segment, text = self.parts[part]
        start = min(offset + span.start - self._starts[at], len(text.text))
        return segment, Span(start, min(start + span.end - span.start, len(text.text)))

    @cached_property
    def _stretches(self) -> list[tuple[str, int, int]]:
        """Each with which part it is of, and where it stands there. A gap counts to the part before it."""
        found: list[tuple[str, int, int]] = []
        for part, (_, text) in enumerate(self.parts):
            content = text.text
            if found:
                gap = _gap(found[-1][0], content)
                found.append((gap, part - 1, len(self.parts[part - 1][1].text)))
            if len(content) <= 2 * _END:
                found.append((content, part, 0))
            else:
                found.append((content[:_END] + "\n.\n", part, 0))
                found.append((content[-_END:], part, len(content) - _END))
        return found

    @cached_property
    def _starts(self) -> list[int]:
        starts: list[int] = []
        size = 0
        for stretch, _, _ in self._stretches:
            starts.append(size)
            size += len(stretch)
        return starts


def conversations(texts: Iterable[tuple[int, Text]]) -> Sequence[Conversation]:
    """The texts by channel and role, where there are several of one. The answer stands alone."""
    grouped: dict[tuple[Channel, str], list[tuple[int, Text]]] = {}
    for index, text in texts:
        if text.text and text.channel is not Channel.OUTPUT:
            grouped.setdefault((text.channel, text.role), []).append((index, text))
    return [Conversation(tuple(parts[-_MOST:])) for parts in grouped.values() if len(parts) > 1]


def _gap(before: str, after: str) -> str:
    """A line's end; where a word may have been cut in two, one that reads both ways."""
    return "-\n" if before[-1:].isalpha() and after[:1].isalpha() else "\n"
