"""Hard evidence: numbers, units and names of a claim that no passage and not the question holds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sluice_guardrail.domain.quantities import WORTH, Quantity, is_rounded
from sluice_guardrail.domain.words import STOPWORDS, Words

#: Where a claim has more than this share of its words capitalised, it is a heading, and capitals do not tell names.
_HEADING = 0.75
#: Letters that a name has in common with a word of the same origin: `Germany` and `German`.
_KIN = 4
_SIGNS = re.compile(r"[\W_]+")
_LONGEST_ABBREVIATION = 8


@dataclass(frozen=True)
class Known:
    """All that passages and question hold."""

    values: frozenset[str]
    units: dict[str, frozenset[str]]
    """By number the units it stands with."""
    words: frozenset[str]
    heads: frozenset[str]
    """The first letters of all words that are long enough."""
    initials: tuple[str, ...]
    letters: str
    """All letters and digits, without what stands between them."""

    @classmethod
    def of(cls, texts: Sequence[Words]) -> "Known":
        """What some texts hold together."""
        quantities = [quantity for words in texts for quantity in words.quantities]
        units: dict[str, set[str]] = {}
        for quantity in quantities:
            for value in filter(None, (quantity.value, quantity.scaled)):
                units.setdefault(value, set()).add(quantity.unit)
        plain = frozenset(
            part for words in texts for word in words.plain for part in (word, *word.split("-"))
        )
        return cls(
            frozenset(units) | {WORTH[word] for word in plain & WORTH.keys()},
            {value: frozenset(found) for value, found in units.items()},
            plain | frozenset(term for words in texts for term in words.terms),
            frozenset(word[:size] for word in plain for size in range(_KIN, len(word) + 1)),
            tuple(variant for words in texts for variant in (words.initials, _telling(words))),
            "".join(_SIGNS.sub("", "".join(words.plain)) for words in texts),
        )


def absent(claim: Words, known: Known, *, tells_names: bool) -> str:
    """The category of what is absent; empty where nothing is. Names are looked up where capitals tell them."""
    for quantity in claim.quantities:
        if not _holds(known, quantity):
            return "number-absent"
        if _other_unit(known, quantity):
            return "unit-absent"
    if tells_names and claim.capitals <= _HEADING and any(not _named(known, name) for name in claim.names):
        return "name-absent"
    return ""


def _holds(known: Known, quantity: Quantity) -> bool:
    if quantity.value in known.values or quantity.scaled in known.values:
        return True
    return any(is_rounded(quantity.value, value, rough=quantity.rough) for value in known.values)


def _other_unit(known: Known, quantity: Quantity) -> bool:
    """True where the number is there, but always with a known unit that is another."""
    there = known.units.get(quantity.value)
    return bool(quantity.unit and there and "" not in there and quantity.unit not in there)


def _named(known: Known, name: str) -> bool:
    if name in known.words or all(part in known.words for part in name.split("-")):
        return True
    if any(name.removesuffix(ending) in known.words for ending in ("s", "es", "n", "an")):
        return True
    squeezed = _SIGNS.sub("", name)
    if not name.isalpha() and squeezed in known.letters:  # `CA19-9` and `CA 19-9`
        return True
    short = squeezed.removesuffix("s")
    if (
        short.isalpha()
        and len(short) <= _LONGEST_ABBREVIATION
        and any(short in run for run in known.initials)
    ):
        return True
    return name.isalpha() and len(name) > _KIN and name[: max(_KIN, len(name) - 3)] in known.heads


def _telling(words: Words) -> str:
    """First letters without those of words that say nothing."""
    return "".join(word[0] for word in words.plain if word not in STOPWORDS)
