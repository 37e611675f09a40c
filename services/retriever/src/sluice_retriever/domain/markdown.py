"""Markdown into blocks under their headings, so that chunks keep to sections and code stays whole."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from markdown_it import MarkdownIt

_PARSER = MarkdownIt("commonmark").enable("table")
_LIST_MARK = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")


class Kind(Enum):
    """How a block may be cut."""

    PROSE = "prose"
    """Between sentences. Line breaks are the source's, and part sentences like any white space."""
    TABLE = "table"
    """Between rows; a row reads like a sentence."""
    CODE = "code"
    """Between lines; a line is no sentence."""
    HEADING = "heading"
    """Not, unless it is long; no sentence either. Only where headings are text: else they are a block's `section`."""


@dataclass(frozen=True, slots=True)
class Block:
    """Text that belongs together."""

    kind: Kind
    text: str
    section: tuple[str, ...]


def blocks(source: str) -> Iterator[Block]:
    """The document's blocks in order; headings become the `section` of what follows them.

    A heading with nothing below it is a block itself.
    """
    # Exactly as the parser counts lines; splitlines() knows more line ends than Markdown does.
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    section: list[tuple[int, str]] = []
    bare = False
    heading_level = 0
    for token in _PARSER.parse(source):
        titles = tuple(title for _, title in section)
        if token.type == "heading_open" and token.level == 0:
            heading_level = int(token.tag[1:])
            if bare and heading_level <= section[-1][0]:
                yield Block(Kind.PROSE, titles[-1], titles[:-1])
        elif token.type == "inline" and heading_level:
            section = [entry for entry in section if entry[0] < heading_level]
            title = " ".join(token.content.split())
            if title:
                section.append((heading_level, title))
            bare, heading_level = bool(title), 0
        elif token.map is not None and _starts_block(token.type, token.level):
            bare = False
            text = "\n".join(lines[token.map[0] : token.map[1]])
            yield from _block(token.type, text, titles)
    if bare:
        yield Block(Kind.PROSE, section[-1][1], tuple(title for _, title in section[:-1]))


def plain_blocks(source: str) -> Iterator[Block]:
    """Paragraphs of plain text, parted by blank lines."""
    for paragraph in re.split(r"\n\s*\n", source):
        if text := _squeezed(paragraph):
            yield Block(Kind.PROSE, text, ())


def _starts_block(kind: str, level: int) -> bool:
    # Items of a list are blocks of their own, so that a long list is cut between items.
    return (level == 0 and kind in _TOP_LEVEL) or (kind == "list_item_open" and level == 1)


_TOP_LEVEL = {"paragraph_open", "fence", "code_block", "blockquote_open", "table_open", "html_block"}


def _block(kind: str, text: str, section: tuple[str, ...]) -> Iterator[Block]:
    if kind == "table_open":
        yield Block(Kind.TABLE, text, section)
        return
    if kind in {"fence", "code_block"} or "```" in text:
        yield Block(Kind.CODE, text.strip("\n"), section)
        return
    if kind == "list_item_open":
        text = _LIST_MARK.sub("", text)
    if squeezed := _squeezed(text):
        yield Block(Kind.PROSE, squeezed, section)


def _squeezed(text: str) -> str:
    """White space as one space, or as one line break where it holds one."""
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(filter(None, lines))
