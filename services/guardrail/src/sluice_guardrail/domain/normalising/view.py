"""A text as one way of reading it shows it, and where each part of it stands in the original."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.normalising import folding


@dataclass(frozen=True, slots=True)
class Replacement:
    """A stretch of a text and what it reads as."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of a reading: copied from the original, or put in the place of something there."""

    start: int
    source: Span
    copied: bool


@dataclass(frozen=True)
class Reading:
    """A text with some stretches replaced; all places lead back to the original."""

    text: str
    pieces: tuple[_Piece, ...]

    @classmethod
    def original(cls, text: str) -> "Reading":
        """The text itself."""
        return cls(text, (_Piece(0, Span(0, len(text)), copied=True),))

    def replaced(self, replacements: Iterable[Replacement]) -> "Reading":
        """This reading with further stretches replaced. They are in order and do not overlap."""
        texts: list[str] = []
        pieces: list[_Piece] = []
        done = size = 0
        for replacement in replacements:
            span = replacement.span
            pieces += self._copies(done, span.start, size)
            pieces.append(self._put(span, size + span.start - done))
            texts += [self.text[done : span.start], replacement.text]
            size += span.start - done + len(replacement.text)
            done = span.end
        pieces += self._copies(done, len(self.text), size)
        texts.append(self.text[done:])
        return Reading("".join(texts), tuple(pieces))

    def source(self, start: int, end: int) -> Span:
        """Where `[start, end)` stands in the original; a replaced stretch counts as a whole."""
        first = self._source_of(start).start
        return Span(first, max(first, self._source_of(end - 1).end if end > start else first))

    def _source_of(self, position: int) -> Span:
        piece = self.pieces[self._piece_at(position)]
        if not piece.copied:
            return piece.source
        start = min(piece.source.start + position - piece.start, piece.source.end)
        return Span(start, min(start + 1, piece.source.end))

    def _piece_at(self, position: int) -> int:
        return max(0, bisect_right(self._starts, position) - 1)

    @cached_property
    def _starts(self) -> "array[int]":
        return array("q", [piece.start for piece in self.pieces])

    def _copies(self, start: int, end: int, at: int) -> list[_Piece]:
        """The pieces of `[start, end)`, moved to begin at `at`."""
        copies: list[_Piece] = []
        index = self._piece_at(start)
        while start < end:
            piece = self.pieces[index]
            index += 1
            stop = min(end, self.pieces[index].start if index < len(self.pieces) else len(self.text))
            if stop <= start:
                continue
            source = piece.source
            if piece.copied:
                offset = source.start + start - piece.start
                source = Span(offset, offset + stop - start)
            copies.append(_Piece(at, source, piece.copied))
            at += stop - start
            start = stop
        return copies

    def _put(self, span: Span, at: int) -> _Piece:
        return _Piece(at, self.source(span.start, span.end), copied=False)


@dataclass(frozen=True)
class View:
    """One way of reading a text: its name, the folded text that rules search, and the way back."""

    name: str
    reading: Reading

    @cached_property
    def text(self) -> str:
        """The folded text."""
        return folding.fold(self.reading.text)

    def source(self, start: int, end: int) -> Span:
        """Where `[start, end)` of `text` stands in the original."""
        indices = self._indices
        last = indices[end - 1] + 1 if end > start else indices[start]
        return self.reading.source(indices[start], last)

    @cached_property
    def _indices(self) -> "array[int]":
        return folding.sources(self.reading.text)
