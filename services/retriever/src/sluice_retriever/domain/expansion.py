"""Chunks that were found, grown by their neighbours or to their section or document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from sluice_api.objects.retrieval import Parent
from sluice_retriever.domain.model import SentenceScore, Span

#: A passage is not grown beyond this many characters, some 1,000 model tokens: five of them fit a small context, and
#: what answers is not lost among the rest. A chunk that alone is longer stays as it is.
MAX_CHARACTERS = 4000

#: Chunks on either side that growing to a section or document looks at.
_REACH = 24

#: The most sentences that chunking repeats; see `Chunking.overlap_sentences`.
_MAX_OVERLAP = 5


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk in its document."""

    ordinal: int
    """Its place, from zero."""
    section: tuple[str, ...]
    text: str
    sentences: tuple[SentenceScore, ...]
    """With spans in `text`, in order."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that was found."""

    document: str
    """What its pieces are kept under: one document in one state."""
    piece: Piece


@dataclass(frozen=True, slots=True)
class Grown:
    """A hit with what was joined to it."""

    hits: tuple[int, ...]
    """Which of the hits it holds, best first."""
    text: str
    sentences: tuple[SentenceScore, ...]


@dataclass(slots=True)
class _Window:
    """Neighbouring pieces of one document around a hit."""

    document: str
    pieces: list[Piece]
    hits: list[int] = field(default_factory=list)

    def holds(self, ordinal: int) -> bool:
        return self.pieces[0].ordinal <= ordinal <= self.pieces[-1].ordinal


def reach(neighbours: int, parent: Parent) -> int:
    """How many chunks before and after a hit are to be read for `grow`; 0 where it changes nothing."""
    return neighbours if parent is Parent.NONE else _REACH


def grow(
    hits: Sequence[Hit],
    pieces: Mapping[str, Sequence[Piece]],
    neighbours: int,
    parent: Parent,
    max_characters: int = MAX_CHARACTERS,
) -> list[Grown]:
    """The hits with their neighbours, section or document, as far as `max_characters` go.

    A hit grows on both sides in turn, so it stays in the middle; what stands in a better hit's passage is not
    repeated. Hits of one document that grow into each other become one passage at the better one's place, unless it
    would be too long: there may be fewer passages than hits, and each chunk stands in one of them.

    Args:
        hits: Best first.
        pieces: By document, the chunks around its hits, in any order; those that are missing end a passage.
    """
    windows: list[_Window] = []
    around = {document: {piece.ordinal: piece for piece in known} for document, known in pieces.items()}
    for index, hit in enumerate(hits):
        ordinal = hit.piece.ordinal
        others = [window for window in windows if window.document == hit.document]
        holder = next((window for window in others if window.holds(ordinal)), None)
        if holder is not None:
            holder.hits.append(index)
            continue
        window = _Window(hit.document, [hit.piece], [index])
        known = around.get(hit.document, {})
        met = _fill(window, known, others, _Bounds(hit.piece, neighbours, parent), max_characters)
        for other in met:
            both = sorted(other.pieces + window.pieces, key=lambda piece: piece.ordinal)
            if _length(both) <= max_characters:
                other.pieces = both
                other.hits.append(index)
                break
        else:
            windows.append(window)
    return [_grown(window) for window in windows]


@dataclass(frozen=True, slots=True)
class _Bounds:
    """How far a hit may grow."""

    hit: Piece
    neighbours: int
    parent: Parent

    def allow(self, piece: Piece) -> bool:
        """Whether a piece belongs to the hit's passage, where those between them do."""
        near = abs(piece.ordinal - self.hit.ordinal) <= self.neighbours
        same = self.parent is Parent.SECTION and piece.section == self.hit.section
        return near or same or self.parent is Parent.DOCUMENT


def _fill(
    window: _Window,
    known: Mapping[int, Piece],
    others: Sequence[_Window],
    bounds: _Bounds,
    max_characters: int,
) -> list[_Window]:
    """Grows a window, after it and before it in turn; gives the other windows that it met."""
    met: list[_Window] = []
    steps = [1, -1]
    while steps:
        step = steps.pop(0)
        edge = window.pieces[-1 if step > 0 else 0].ordinal + step
        piece = known.get(edge)
        if piece is None or not bounds.allow(piece):
            continue
        if (other := next((other for other in others if other.holds(edge)), None)) is not None:
            met.append(other)
            continue
        more = [*window.pieces, piece] if step > 0 else [piece, *window.pieces]
        if _length(more) <= max_characters:
            window.pieces = more
            steps.append(step)
    return met


def _length(pieces: Sequence[Piece]) -> int:
    """Characters of a passage of these, at most: sentences that repeat are counted."""
    joints = sum(len(_joint(before, after)) for before, after in pairwise(pieces))
    return joints + sum(len(piece.text) for piece in pieces)


def _grown(window: _Window) -> Grown:
    first, *rest = window.pieces
    text, sentences = first.text, list(first.sentences)
    before = first
    for piece in rest:
        repeated = _repeated(text, sentences, piece)
        for index, again in enumerate(piece.sentences[:repeated], len(sentences) - repeated):
            # It was encoded in the context of either chunk.
            similarity = max(sentences[index].similarity, again.similarity)
            sentences[index] = replace(sentences[index], similarity=similarity)
        joint = "" if repeated else _joint(before, piece)
        skipped = piece.sentences[repeated - 1].span.end if repeated else 0
        shift = len(text) + len(joint) - skipped
        text += joint + piece.text[skipped:]
        sentences += [
            SentenceScore(Span(each.span.start + shift, each.span.end + shift), each.similarity)
            for each in piece.sentences[repeated:]
        ]
        before = piece
    return Grown(tuple(window.hits), text, tuple(sentences))


def _repeated(text: str, sentences: Sequence[SentenceScore], piece: Piece) -> int:
    """How many of the piece's first sentences the text ends in: what chunking repeated."""
    for count in range(min(_MAX_OVERLAP, len(sentences), len(piece.sentences)), 0, -1):
        start = sentences[-count].span.start
        if piece.text[: piece.sentences[count - 1].span.end] == text[start:]:
            return count
    return 0


def _joint(before: Piece, after: Piece) -> str:
    """What parts two chunks; a heading where a section begins."""
    if before.section == after.section:
        return "\n"
    return f"\n\n{after.section[-1]}\n" if after.section else "\n\n"
