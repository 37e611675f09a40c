"""Sentences of Markdown as plain sentences, fit to be quoted with a citation behind them."""

import re

from sluice_lexical.marks import MARK

_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_LEAD = re.compile(r"^\s*(?:#{1,6}\s+|>\s*|[-*+]\s+|\d+[.)]\s+)+")
_EMPHASIS = re.compile(r"(\*\*|__)(.*?)\1")
_RULE = re.compile(r"^[\s|:+-]*$")


def readable(sentence: str) -> str:
    """The sentence without Markdown's signs; code spans stay. Empty where nothing is left to read."""
    if _RULE.match(sentence):
        return ""
    text = _LINK.sub(r"\1", sentence)
    # A source's own [3] would read as a citation of ours.
    text = MARK.sub(r"(\1)", text)
    text = _EMPHASIS.sub(r"\2", _LEAD.sub("", text)).replace("**", "")
    if text.startswith("|") and text.rstrip().endswith("|"):
        cells = [cell.strip() for cell in text.strip().strip("|").split("|")]
        text = ": ".join(cell for cell in cells if cell)
    return " ".join(text.split())
