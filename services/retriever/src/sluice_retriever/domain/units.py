"""Blocks into units, the smallest parts that chunks are made of: sentences and lines, each with the break before it."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from sentencex import segment

from sluice_retriever.domain.markdown import Block, Kind

#: Model tokens in each of the texts, special tokens not counted.
CountTokens = Callable[[Sequence[str]], list[int]]

#: Characters of a text that count as one token at least.
_MAX_TOKEN_CHARACTERS = 24


class Break(IntEnum):
    """What lies before a unit, the strongest first."""

    PARAGRAPH = 0
    LINE = 1
    """A line of a table or of code, or a sentence that begins a line."""
    SENTENCE = 2
    WORD = 3
    """The inside of a sentence or line that alone is over the budget."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What is never cut: a sentence, a line, or a piece of one that alone is over the budget."""

    text: str
    tokens: int
    joint: str
    """What parts it from the unit before in a chunk's text."""
    before: Break
    kind: Kind


def units(blocks: Iterable[Block], room: int, count_tokens: CountTokens) -> Iterator[Unit]:
    """The blocks' units in order, none of more than `room` tokens; no text is lost but white space."""
    for block in blocks:
        whole = _sentences(block) if block.kind is Kind.PROSE else _lines(block)
        for unit in _sized(list(whole), count_tokens):
            if unit.tokens <= room:
                yield unit
            else:
                yield from _split(unit, room, count_tokens)


def _sentences(block: Block) -> Iterator[Unit]:
    """Each sentence after what parts it from the one before: white space, or nothing as in Chinese."""
    text = block.text.replace("\n", " ")  # a sentence goes on over a line's end
    end = 0
    for sentence in filter(None, (part.strip() for part in segment("en", text))):
        start = text.index(sentence, end)
        if not end:
            joint, before = "\n", Break.PARAGRAPH
        else:
            joint = " " if start > end else ""
            before = Break.LINE if "\n" in block.text[end:start] else Break.SENTENCE
        yield Unit(sentence, 0, joint, before, block.kind)
        end = start + len(sentence)


def _lines(block: Block) -> Iterator[Unit]:
    lines = [line for line in block.text.split("\n") if line.strip()]
    breaks = itertools.chain([Break.PARAGRAPH], itertools.repeat(Break.LINE))
    for line, before in zip(lines, breaks, strict=False):
        yield Unit(line, 0, "\n", before, block.kind)


def _sized(parts: Sequence[Unit], count_tokens: CountTokens) -> list[Unit]:
    """With each one's tokens, but never fewer than its length allows: the model reads a very long word as one
    unknown token, and a chunk of megabytes would be no chunk."""
    sizes = count_tokens([part.text for part in parts])
    return [
        replace(part, tokens=max(tokens, len(part.text) // _MAX_TOKEN_CHARACTERS))
        for part, tokens in zip(parts, sizes, strict=True)
    ]


def _split(unit: Unit, room: int, count_tokens: CountTokens) -> Iterator[Unit]:
    """Cuts a unit that alone is over the budget, between words where there are any."""
    text = unit.text
    middle = len(text) // 2
    space = text.find(" ", middle)
    if space < 0:
        space = text.rfind(" ", 0, middle)
    cut = space if space > 0 else middle
    halves = [half for half in (text[:cut].rstrip(), text[cut:].lstrip()) if half]
    later = Unit("", 0, " " if space > 0 else "", Break.WORD, unit.kind)
    parts = [replace(like, text=half) for like, half in zip((unit, later), halves, strict=False)]
    for part in _sized(parts, count_tokens):
        if part.tokens <= room or len(part.text) < 2:
            yield part
        else:
            yield from _split(part, room, count_tokens)
