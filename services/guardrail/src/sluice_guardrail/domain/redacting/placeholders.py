"""Placeholders, `[EMAIL_1]`: the one notation, and how much a model may change it.

A model writes them in its own way: `[email_1]`, `[EMAIL 1]`, `**[EMAIL_1]**`, `\\[EMAIL\\_1\\]`, `【EMAIL_1】`.
All of these are read as the same one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sluice_guardrail.domain.model import Span

#: The most characters of a placeholder, however a model writes it.
LONGEST = 52

#: Nothing within a placeholder opens a bracket, so that none begins in another one or in what stands before it.
_BRACKETED = re.compile(r"[\[［【] {0,2}(?P<inner>[A-Za-z][A-Za-z0-9_\\ -]{0,47})[\]］】]")
_OPENED = re.compile(r"\\?[\[［【][A-Za-z0-9_\\ -]*\Z")
_PARTING = re.compile(r"[\\ _-]+")
_NAME = re.compile(r"(?P<label>[A-Z]+(?:_[A-Z]+)*)_?(?P<number>[0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One placeholder: what kind of value it stands for, and the how manieth of these."""

    label: str
    number: int

    def __str__(self) -> str:
        """As it is written into a text."""
        return f"[{self.name}]"

    @property
    def name(self) -> str:
        """Without the brackets: `EMAIL_1`."""
        return f"{self.label}_{self.number}"

    @classmethod
    def named(cls, name: str) -> "Placeholder | None":
        """The placeholder of a name, in any spelling; None where it is no name of one."""
        match = _NAME.fullmatch(_PARTING.sub("_", name).strip("_").upper())
        return cls(match["label"], int(match["number"])) if match else None


def mentions(text: str) -> Iterator[tuple[Span, Placeholder]]:
    """All placeholders in a text and where they stand, in order; linear."""
    for match in _BRACKETED.finditer(text):
        placeholder = Placeholder.named(match["inner"])
        if placeholder is not None:
            # Markdown escapes both brackets or none: a backslash before `[EMAIL_1]` is the text's own.
            escaped = match["inner"].endswith("\\") and text[match.start() - 1 : match.start()] == "\\"
            yield Span(match.start() - escaped, match.end()), placeholder


def unfinished(text: str) -> int:
    """Where a placeholder may have begun whose end is still to come; the text's length where none has."""
    start = max(0, len(text) - LONGEST)
    match = _OPENED.search(text, start)
    if match:
        return match.start()
    return len(text) - (text[-1:] == "\\")


def label(category: str) -> str:
    """The label of a finding's category: `credit-card` gives `CREDIT_CARD`."""
    return re.sub(r"[^A-Z]+", "_", category.upper()).strip("_") or "REDACTED"
