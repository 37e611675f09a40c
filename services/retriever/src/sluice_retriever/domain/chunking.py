"""Documents into chunks of whole sentences, within a budget of model tokens."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from sentencex import segment

from sluice_retriever.domain.markdown import Block, Kind
from sluice_retriever.domain.model import Chunk, Span

#: Model tokens in each of the texts, special tokens not counted.
CountTokens = Callable[[Sequence[str]], list[int]]

#: A heading path longer than this many characters is cut; it is repeated for every chunk below it.
_MAX_SECTION_CHARACTERS = 160

#: Characters of a text that count as one token at least.
_MAX_TOKEN_CHARACTERS = 24


@dataclass(frozen=True, slots=True)
class Budget:
    """How large a chunk may be, and how much of it the next one repeats."""

    max_tokens: int
    overlap_sentences: int
    window: int
    """Tokens that the model reads, of which title and headings take their part."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is never cut: a sentence, a line, or a piece of one that alone is over the budget."""

    text: str
    tokens: int
    joint: str
    """What parts it from the unit before."""
    kind: Kind


def chunk(title: str, blocks: Iterable[Block], budget: Budget, count_tokens: CountTokens) -> list[Chunk]:
    """Cuts a document. Chunks keep to one section each; no text is lost but the white space between units."""
    chunks: list[Chunk] = []
    for section, group in itertools.groupby(blocks, key=lambda block: block.section):
        [above] = count_tokens([context_line(title, section)])
        room = min(budget.max_tokens, budget.window - above)
        units = [unit for block in group for unit in _units(block, room, count_tokens)]
        chunks.extend(_pack(units, section, room, budget.overlap_sentences))
    return chunks


def context_line(title: str, section: Sequence[str]) -> str:
    """Title and headings as one line: shown as the passage's title and encoded before its text."""
    parts = [part for part in (title, *section) if part]
    distinct = [part for index, part in enumerate(parts) if part not in parts[:index]]
    return " › ".join(distinct)[:_MAX_SECTION_CHARACTERS]


def _units(block: Block, room: int, count_tokens: CountTokens) -> Iterator[_Unit]:
    parts = _sentences(block.text) if block.kind is Kind.PROSE else _lines(block.text)
    sizes = _sizes([text for _, text in parts], count_tokens)
    for index, ((joint, text), tokens) in enumerate(zip(parts, sizes, strict=True)):
        unit = _Unit(text, tokens, "\n" if index == 0 else joint, block.kind)
        if tokens <= room:
            yield unit
        else:
            yield from _split(unit, room, count_tokens)


def _sentences(text: str) -> list[tuple[str, str]]:
    """Each sentence after what parts it from the one before: white space, or nothing as in Chinese."""
    found: list[tuple[str, str]] = []
    joint = ""
    for part in segment("en", text):
        sentence = part.strip()
        leading = joint or part[: len(part) - len(part.lstrip())]
        if sentence:
            found.append((" " if leading else "", sentence))
            joint = part[len(part.rstrip()) :]
        else:
            joint = joint or part
    return found


def _lines(text: str) -> list[tuple[str, str]]:
    return [("\n", line) for line in text.split("\n") if line.strip()]


def _sizes(texts: Sequence[str], count_tokens: CountTokens) -> list[int]:
    """Tokens of each text, but never fewer than its length allows: the model reads a very long word as one
    unknown token, and a chunk of megabytes would be no chunk."""
    return [
        max(tokens, len(text) // _MAX_TOKEN_CHARACTERS)
        for text, tokens in zip(texts, count_tokens(texts), strict=True)
    ]


def _split(unit: _Unit, room: int, count_tokens: CountTokens) -> Iterator[_Unit]:
    """Cuts a unit that alone is over the budget, between words where there are any."""
    text = unit.text
    middle = len(text) // 2
    space = text.find(" ", middle)
    if space < 0:
        space = text.rfind(" ", 0, middle)
    cut = space if space > 0 else middle
    halves = [half for half in (text[:cut].rstrip(), text[cut:].lstrip()) if half]
    between = " " if space > 0 else ""
    for index, (half, tokens) in enumerate(zip(halves, _sizes(halves, count_tokens), strict=True)):
        part = _Unit(half, tokens, unit.joint if index == 0 else between, unit.kind)
        if tokens <= room or len(half) < 2:
            yield part
        else:
            yield from _split(part, room, count_tokens)


def _pack(units: Sequence[_Unit], section: tuple[str, ...], room: int, overlap: int) -> Iterator[Chunk]:
    current: list[_Unit] = []
    size = 0
    for unit in units:
        if current and size + unit.tokens > room:
            yield _chunk(current, section)
            current = _overlap(current, overlap, room - unit.tokens)
            size = sum(kept.tokens for kept in current)
        current.append(unit)
        size += unit.tokens
    if current:
        yield _chunk(current, section)


def _overlap(units: Sequence[_Unit], most: int, room: int) -> list[_Unit]:
    """The last sentences, as long as there is room for them and they are not all there are."""
    kept: list[_Unit] = []
    for unit in reversed(units[1:]):
        room -= unit.tokens
        if len(kept) == most or unit.kind is not Kind.PROSE or room < 0:
            break
        kept.insert(0, unit)
    return kept


def _chunk(units: Sequence[_Unit], section: tuple[str, ...]) -> Chunk:
    text = ""
    spans: list[Span] = []
    for unit in units:
        text += unit.joint if text else ""
        if unit.kind is not Kind.CODE:
            spans.append(Span(len(text), len(text) + len(unit.text)))
        text += unit.text
    return Chunk(text, section, tuple(spans))
