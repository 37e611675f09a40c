"""Sentences of Markdown as plain sentences, fit to be quoted with a citation behind them."""

import re
from collections.abc import Sequence

from sluice_lexical.marks import MARK

_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_LEAD = re.compile(r"^\s*(?:#{1,6}\s+|>\s*|[-*+]\s+|\d+[.)]\s+)+")
_EMPHASIS = re.compile(r"(\*\*|__)(.*?)\1")
_RULE = re.compile(r"^[\s|:+-]*$")


def readable(sentence: str, columns: Sequence[str] = ()) -> str:
    """The sentence without Markdown's signs; code spans stay. Empty where nothing is left to read.

    A table's row begins with its first cell; of more than two, each further one stands behind its column's name.
    """
    if _RULE.match(sentence):
        return ""
    text = _LINK.sub(r"\1", sentence)
    # A source's own [3] would read as a citation of ours.
    text = MARK.sub(r"(\1)", text)
    text = _EMPHASIS.sub(r"\2", _LEAD.sub("", text)).replace("**", "")
    if text.startswith("|") and text.rstrip().endswith("|"):
        text = _row(cells(text), columns)
    return " ".join(text.split())


def cells(row: str) -> list[str]:
    """What stands between a row's bars, without Markdown's signs."""
    plain = _EMPHASIS.sub(r"\2", _LINK.sub(r"\1", row))
    return [cell.strip() for cell in plain.strip().strip("|").split("|")]


def _row(found: Sequence[str], columns: Sequence[str]) -> str:
    if len(found) < 3 or len(found) != len(columns):
        return ": ".join(cell for cell in found if cell)
    named = (f"{name} {cell}" for name, cell in zip(columns[1:], found[1:], strict=True) if cell)
    return f"{found[0] or columns[0]}: {', '.join(named)}"
