"""Texts without anything between their letters, which is how a word split over lines or spelled out becomes whole."""

import re
from array import array
from dataclasses import dataclass
from functools import cached_property

from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.normalising import folding
from sluice_guardrail.domain.normalising.lookalikes import as_latin

#: Digits as the letters that they are written for; letters that are taken for one another become one.
_LEET = str.maketrans("0134578il", "oieastbii")
#: Signs that are written for letters, and else stand between them.
_SIGNS = str.maketrans("@$!|€+", "asiiet")
_OTHER = re.compile(r"[\W_]+")
#: Numbers that items of a list begin with.
_ITEM = re.compile(r"(?m)^[ \t]*\(?\d{1,3}[.):][ \t]+")
_WORD_START = re.compile(r"(?<![^\W_])[^\W_]")
_LINE_START = re.compile(r"(?m)^[\W_]*([^\W_])")


@dataclass(frozen=True)
class Squeezed:
    """The letters of a text, and where each of them stands in it."""

    source: str

    @cached_property
    def text(self) -> str:
        """Folded letters and digits, each as the plain letter that it looks like."""
        return skeleton(self.source)

    @cached_property
    def places(self) -> "array[int]":
        """For each letter of `text` the index in the source."""
        folded = as_folded(self.source)
        indices = folding.sources(as_latin(self.source))
        return array("q", (indices[at] for at, letter in enumerate(folded) if not _OTHER.match(letter)))

    def span(self, start: int, end: int) -> Span:
        """Where `[start, end)` of `text` stands in the source."""
        return Span(self.places[start], self.places[end - 1] + 1)


def as_folded(text: str) -> str:
    """The text folded, lookalikes as Latin letters and leet as letters."""
    return folding.fold(as_latin(text)).translate(_LEET)


def skeleton(text: str) -> str:
    """The letters of a text, as `Squeezed.text` has them."""
    return _OTHER.sub("", as_folded(text))


def without_item_numbers(text: str) -> str:
    """The text with blanks for the numbers of a list's items; places stay the same."""
    return _ITEM.sub(lambda match: re.sub(r"\S", " ", match[0]), text)


def with_signs_as_letters(text: str) -> str:
    """The text with the signs that may be letters as those; places stay the same."""
    return text.translate(_SIGNS)


def word_initials(text: str) -> str:
    """The first letters of all words."""
    return skeleton("".join(_WORD_START.findall(text)))


def line_initials(text: str) -> str:
    """The first letters of all lines."""
    return skeleton("".join(_LINE_START.findall(text)))
