"""Units into chunks: one after the other, or at the largest break that fits."""

from collections.abc import Iterator, Sequence

from sluice_retriever.domain.markdown import Kind
from sluice_retriever.domain.units import Break, Unit


def pack(units: Sequence[Unit], room: int, overlap: int) -> Iterator[list[Unit]]:
    """Fills each chunk with as many units as there is room for.

    Args:
        units: None of them over `room`.
        room: Tokens of a chunk.
        overlap: Sentences that a chunk repeats of the one before, where there is room for them.
    """
    return _merge([[unit] for unit in units], room, overlap)


def pack_recursively(
    units: Sequence[Unit], room: int, overlap: int, at: Break = Break.PARAGRAPH
) -> Iterator[list[Unit]]:
    """Fills each chunk with as many paragraphs as there is room for. Only a paragraph that alone has no room is cut,
    between lines; then a line between sentences, a sentence between words. As LangChain's
    RecursiveCharacterTextSplitter does, what was cut shares no chunk with its neighbours.
    """
    run: list[list[Unit]] = []
    for piece in _pieces(units, at):
        if _size(piece) <= room:
            run.append(piece)
            continue
        yield from _merge(run, room, overlap)
        run = []
        yield from pack_recursively(piece, room, overlap, Break(at + 1))
    yield from _merge(run, room, overlap)


def _pieces(units: Sequence[Unit], at: Break) -> Iterator[list[Unit]]:
    """Parted at breaks as strong as `at`; a heading stays with what it heads as long as that may be."""
    piece: list[Unit] = []
    for unit in units:
        heads = bool(piece) and piece[-1].kind is Kind.HEADING and at is not Break.WORD
        if piece and unit.before <= at and not heads:
            yield piece
            piece = []
        piece.append(unit)
    if piece:
        yield piece


def _merge(pieces: Sequence[Sequence[Unit]], room: int, overlap: int) -> Iterator[list[Unit]]:
    current: list[Unit] = []
    size = 0
    for piece in pieces:
        added = _size(piece)
        if current and size + added > room:
            yield current
            current = _overlap(current, overlap, room - added)
            size = _size(current)
        current.extend(piece)
        size += added
    if current:
        yield current


def _overlap(units: Sequence[Unit], most: int, room: int) -> list[Unit]:
    """The last sentences, as long as there is room for them and they are not all there are."""
    kept: list[Unit] = []
    for unit in reversed(units[1:]):
        room -= unit.tokens
        if len(kept) == most or unit.kind is not Kind.PROSE or room < 0:
            break
        kept.insert(0, unit)
    return kept


def _size(units: Sequence[Unit]) -> int:
    return sum(unit.tokens for unit in units)
