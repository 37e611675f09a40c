"""Quotations of an answer, and whether a text holds them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.normalising.folding import fold

#: Quotation marks that open, and those that close them. One kind holds no other of its own.
_QUOTES = (
    ('"', '"'),
    ("“", "”"),
    ("„", "“"),
    ("„", "”"),
    ("«", "»"),
    ("»", "«"),
    ("‘", "’"),
    ("‚", "‘"),
    ("「", "」"),
    ("『", "』"),
)
_QUOTATION = re.compile(
    "|".join(
        rf"{re.escape(opening)}(?P<q{index}>[^{re.escape(opening + closing)}\n]{{8,2000}}){re.escape(closing)}"
        for index, (opening, closing) in enumerate(_QUOTES)
    )
)
#: A straight apostrophe opens where no letter stands before, and closes where none follows.
_APOSTROPHES = re.compile(r"(?<!\w)'(?P<q>\S[^\n]{8,300}?)'(?!\w)")
_BLOCK = re.compile(r"(?m)^>[ \t]?(?P<q>[^\n]{8,2000})$")
#: Fewer words are a name, or a word spoken of.
_FEWEST_WORDS = 4
#: What a quotation may leave out or put in.
_GAPS = re.compile(r"\[[^\[\]]{0,80}\]|\(\.\.\.\)|\.{3,}|…")
_WORD = re.compile(r"[^\W_]+")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]{1,400}`", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Quotation:
    """What an answer gives as said by somebody else, word for word."""

    span: Span
    parts: tuple[str, ...]
    """What must be there, in order: the words between what was left out or put in."""


def quotations(text: str) -> Iterator[Quotation]:
    """Quotations of four words or more, in code not."""
    code = [match.span() for match in _CODE.finditer(text)]
    for pattern in (_QUOTATION, _APOSTROPHES, _BLOCK):
        for match in pattern.finditer(text):
            if any(start <= match.start() < end for start, end in code):
                continue
            name = match.lastgroup or "q"
            quoted = match[name]
            if len(_WORD.findall(_GAPS.sub(" ", quoted))) >= _FEWEST_WORDS:
                yield Quotation(
                    Span(*match.span(name)), tuple(filter(None, map(spoken, _GAPS.split(quoted))))
                )


def spoken(text: str) -> str:
    """The words of a text, folded, with one blank between: case, marks and line ends do not count."""
    return " ".join(_WORD.findall(fold(text)))


def holds(source: str, parts: Sequence[str]) -> bool:
    """True where a text, read by `spoken`, holds all parts in order."""
    at = 0
    for part in parts:
        at = source.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True
