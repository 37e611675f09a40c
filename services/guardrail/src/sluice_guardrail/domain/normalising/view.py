"""A text as one way of reading it shows it, and where each part of it stands in the original."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.normalising import folding


@dataclass(frozen=True, slots=True)
class Replacement:
    """A stretch of a text and what it reads as."""

    span: Span
    text: str
    mirrored: bool = False
    """The text is the stretch, last letter first."""


class _Kind(Enum):
    """How a stretch of a reading follows from the original."""

    COPIED = 1
    MIRRORED = -1
    PUT = 0
    """Put in the place of something there, which it stands for as a whole."""


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    source: Span
    kind: _Kind


@dataclass(frozen=True)
class Reading:
    """A text with some stretches replaced; all places lead back to the original."""

    text: str
    pieces: tuple[_Piece, ...]

    @classmethod
    def original(cls, text: str) -> "Reading":
        """The text itself."""
        return cls(text, (_Piece(0, Span(0, len(text)), _Kind.COPIED),))

    def translated(self, text: str) -> "Reading":
        """This reading with other letters in the same places."""
        return Reading(text, self.pieces)

    def mirrored(self, text: str) -> "Reading":
        """This reading from its end to its start, in other letters perhaps."""
        return self.replaced([Replacement(Span(0, len(self.text)), text, mirrored=True)])

    def replaced(self, replacements: Iterable[Replacement]) -> "Reading":
        """This reading with further stretches replaced. They are in order and do not overlap."""
        texts: list[str] = []
        pieces: list[_Piece] = []
        done = size = 0
        for replacement in replacements:
            span = replacement.span
            size = self._copy(done, span.start, size, pieces)
            if replacement.mirrored and span.start < span.end:
                self._mirror(span, size, pieces)
            else:
                pieces.append(_Piece(size, self.source(span.start, span.end), _Kind.PUT))
            texts += [self.text[done : span.start], replacement.text]
            size += len(replacement.text)
            done = span.end
        self._copy(done, len(self.text), size, pieces)
        texts.append(self.text[done:])
        return Reading("".join(texts), tuple(pieces))

    def source(self, start: int, end: int) -> Span:
        """The least stretch of the original that holds all of `[start, end)`; empty for an empty one."""
        if end <= start:
            place = self._place(start)
            return Span(place, place)
        stretches = [source for _, source, _ in self._slices(start, end)]
        return Span(min(each.start for each in stretches), max(each.end for each in stretches))

    def _place(self, position: int) -> int:
        piece = self.pieces[self._piece_at(position)]
        match piece.kind:
            case _Kind.COPIED:
                return min(piece.source.start + position - piece.start, piece.source.end)
            case _Kind.MIRRORED:
                return max(piece.source.end - (position - piece.start), piece.source.start)
            case _:
                return piece.source.start

    def _slices(self, start: int, end: int) -> Iterator[tuple[int, Span, _Kind]]:
        """The pieces of `[start, end)`, cut to it: length, where it comes from, how."""
        index = self._piece_at(start)
        while start < end:
            piece = self.pieces[index]
            index += 1
            stop = min(end, self.pieces[index].start if index < len(self.pieces) else len(self.text))
            if stop <= start:
                continue
            length, offset, source = stop - start, start - piece.start, piece.source
            match piece.kind:
                case _Kind.COPIED:
                    source = Span(source.start + offset, source.start + offset + length)
                case _Kind.MIRRORED:
                    source = Span(source.end - offset - length, source.end - offset)
            yield length, source, piece.kind
            start = stop

    def _copy(self, start: int, end: int, at: int, pieces: list[_Piece]) -> int:
        """Adds the pieces of `[start, end)`, moved to begin at `at`; gives where they end."""
        for length, source, kind in self._slices(start, end):
            pieces.append(_Piece(at, source, kind))
            at += length
        return at

    def _mirror(self, span: Span, at: int, pieces: list[_Piece]) -> None:
        for length, source, kind in reversed(list(self._slices(span.start, span.end))):
            pieces.append(_Piece(at, source, _Kind(-kind.value)))
            at += length

    def _piece_at(self, position: int) -> int:
        return max(0, bisect_right(self._starts, position) - 1)

    @cached_property
    def _starts(self) -> "array[int]":
        return array("q", [piece.start for piece in self.pieces])


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
        first = self._places.source(start)
        return self.reading.source(first, self._places.source(end - 1) + 1 if end > start else first)

    @cached_property
    def _places(self) -> folding.Places:
        return folding.Places(self.reading.text)
