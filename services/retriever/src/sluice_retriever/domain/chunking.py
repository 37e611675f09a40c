"""Documents into chunks of whole sentences, within a budget of model tokens."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sluice_api.objects.knowledge_base import ChunkingMethod
from sluice_retriever.domain.markdown import Block, Kind
from sluice_retriever.domain.model import Chunk, Span
from sluice_retriever.domain.packing import pack, pack_recursively
from sluice_retriever.domain.units import CountTokens, Unit, units

#: A heading path longer than this many characters is cut; it is repeated for every chunk below it.
_MAX_SECTION_CHARACTERS = 160

_Section = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Budget:
    """How large a chunk may be, how much of it the next one repeats, and where it may end."""

    max_tokens: int
    overlap_sentences: int
    window: int
    """Tokens that the model reads, of which title and headings take their part."""
    method: ChunkingMethod = ChunkingMethod.HEADING


def chunk(title: str, blocks: Iterable[Block], budget: Budget, count_tokens: CountTokens) -> list[Chunk]:
    """Cuts a document; no text is lost but the white space between units.

    By `heading` a chunk keeps to one section, whose headings it carries in `section`; by the other methods a heading
    is text, and `section` is empty.
    """
    pack_units = pack_recursively if budget.method is ChunkingMethod.RECURSIVE else pack
    chunks: list[Chunk] = []
    for section, part in _parts(blocks, budget.method):
        [above] = count_tokens([context_line(title, section)])
        room = min(budget.max_tokens, budget.window - above)
        found = list(units(part, room, count_tokens))
        packed = pack_units(found, room, budget.overlap_sentences)
        chunks.extend(_chunk(each, section) for each in packed)
    return chunks


def context_line(title: str, section: Sequence[str]) -> str:
    """Title and headings as one line: shown as the passage's title and encoded before its text."""
    parts = [part for part in (title, *section) if part]
    distinct = [part for index, part in enumerate(parts) if part not in parts[:index]]
    return " › ".join(distinct)[:_MAX_SECTION_CHARACTERS]


def _parts(blocks: Iterable[Block], method: ChunkingMethod) -> Iterator[tuple[_Section, Iterable[Block]]]:
    """What no chunk crosses the borders of."""
    if method is ChunkingMethod.HEADING:
        return itertools.groupby(blocks, key=lambda block: block.section)
    return iter([((), _with_headings(blocks))])


def _with_headings(blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks, and before each the headings that the one before was not below."""
    above: _Section = ()
    for block in blocks:
        shared = 0
        for new, old in zip(block.section, above, strict=False):
            if new != old:
                break
            shared += 1
        for heading in block.section[shared:]:
            yield Block(Kind.HEADING, heading, ())
        above = block.section
        yield block


def _chunk(found: Sequence[Unit], section: _Section) -> Chunk:
    text = ""
    spans: list[Span] = []
    for unit in found:
        text += unit.joint if text else ""
        if unit.kind in {Kind.PROSE, Kind.TABLE}:
            spans.append(Span(len(text), len(text) + len(unit.text)))
        text += unit.text
    return Chunk(text, section, tuple(spans))
