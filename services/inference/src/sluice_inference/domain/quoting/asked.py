"""What a question asks for, read off its words."""

import re
from dataclasses import dataclass

from sluice_lexical.words import pieces

_DEFINITION = re.compile(
    r"^\s*(?:what|who)\s+(?:is|are|does)\s+(?:an?\s+|the\s+)?(?P<thing>[^?]{1,80}?)(?:\s+mean|\s+do)?\s*\?*\s*$",
    re.I,
)

#: Where one question ends and another begins.
_PARTS = re.compile(
    r"(?<=[?？])\s*(?=\S)"
    r"|,?\s+(?:and|or|und|oder|et|ou|y|o|e)\s+(?=(?:(?:in|at|on|for|to|from|with|by|since|after)\s+)?(?:what|who|whom"
    r"|whose|where|when|why|how|which|was|wer|wo|wann|warum|wie|welche[rsmn]?|que|qui|où|quand|pourquoi|comment"
    r"|combien|quel(?:le)?s?|qué|quién|dónde|cuándo|cómo|cuánt[oa]s?|chi|dove|quando|perché|come|quant[oaie]|quali?"
    r"|onde|como|quais|wat|waar|wanneer|waarom|hoe|welke?)\b)",
    re.I,
)

#: Parts that are looked at, and characters of a question in which they are looked for.
_MOST_PARTS, _MOST_CHARACTERS = 4, 1000

#: Words that a part needs to be one.
_FEWEST = 2

_NAME = re.compile(r"(?<=[\w,;'’\"“(] )[\"“'(]?[A-Z][\w-]+|\b\w*\d\w*\b|\b[A-Z][A-Z0-9-]+\b")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as sentences are held against it."""

    terms: tuple[str, ...]
    parts: tuple[frozenset[str], ...]
    """The terms of each question in it; empty where it is one question."""
    names: frozenset[str]
    """Terms of what is written as a name or holds a digit."""
    thing: tuple[str, ...]
    """The terms of what is to be defined; empty where nothing is."""


def read(question: str) -> Asked:
    """What is asked."""
    return Asked(
        tuple(pieces(question)),
        _parts(question),
        frozenset(term for name in _NAME.findall(question[:_MOST_CHARACTERS]) for term in pieces(name)),
        _thing(question),
    )


def _parts(question: str) -> tuple[frozenset[str], ...]:
    if len(question) > _MOST_CHARACTERS:
        return ()
    found = [frozenset(pieces(part)) for part in _PARTS.split(question)]
    kept = [part for part in found if len(part) >= _FEWEST][:_MOST_PARTS]
    return tuple(kept) if len(kept) > 1 else ()


def _thing(question: str) -> tuple[str, ...]:
    match = _DEFINITION.match(question)
    return tuple(pieces(match["thing"])) if match else ()
