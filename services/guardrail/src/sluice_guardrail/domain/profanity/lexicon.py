"""Profane words found in folded text by an Aho-Corasick automaton: one pass, however many words there are."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ahocorasick_rs import AhoCorasick, MatchKind

from sluice_guardrail.domain.normalising.folding import fold

#: Scripts that are written without blanks, so that a word has no bounds to look for.
_NO_BLANKS = ((0x3040, 0x30FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF))


@dataclass(frozen=True, slots=True)
class Term:
    """A word or phrase, folded."""

    text: str
    severity: float
    """0.25 mild, 0.5 moderate, 0.75 strong, 1 slurs; 0 for an innocent phrase around a profane word."""
    category: str


@dataclass(frozen=True, slots=True)
class Match:
    """A term and where it stands in the folded text."""

    term: Term
    start: int
    end: int


class Lexicon:
    """Terms that are looked for together. Thread-safe."""

    def __init__(self, terms: Sequence[Term]) -> None:
        self._terms = [term for term in terms if term.text]
        self._automaton = AhoCorasick(
            [term.text for term in self._terms], matchkind=MatchKind.Standard, store_patterns=False
        )

    def matches(self, folded: str) -> Iterator[Match]:
        """Whole words, the longest of those that overlap, in order."""
        found = (
            Match(self._terms[index], start, end)
            for index, start, end in self._automaton.find_matches_as_indexes(folded, overlapping=True)
            if _stands_alone(folded, start, end)
        )
        end = 0
        for match in sorted(found, key=lambda each: (each.start, -each.end)):
            if match.start >= end:
                end = match.end
                yield match


def _stands_alone(text: str, start: int, end: int) -> bool:
    """A match is a word of its own, or its script parts no words."""
    return _bound(text, start - 1, start) and _bound(text, end, end - 1)


def _bound(text: str, outside: int, inside: int) -> bool:
    if not 0 <= outside < len(text) or not text[outside].isalnum() or not text[inside].isalnum():
        return True
    return any(low <= ord(text[inside]) <= high for low, high in _NO_BLANKS)


@cache
def builtin_terms() -> tuple[Term, ...]:
    """The terms that are shipped; see `assets/NOTICE`."""
    lines = _content().decode().splitlines()
    return tuple(
        Term(text, float(severity), category)
        for text, severity, category in (line.split("\t") for line in lines)
    )


@cache
def digest() -> str:
    """The first 12 hex digits of the SHA-256 of the shipped terms."""
    return hashlib.sha256(_content()).hexdigest()[:12]


def lexicon(allow: Sequence[str] = (), deny: Sequence[str] = ()) -> Lexicon:
    """The shipped terms without those that are allowed, and those that are denied at severity 1."""
    allowed = {fold(word).strip() for word in allow}
    terms = {term.text: term for term in builtin_terms() if term.text not in allowed}
    terms |= {text: Term(text, 0.0, "allowed") for text in allowed}
    terms |= {text: Term(text, 1.0, "denied") for word in deny if (text := fold(word).strip())}
    return Lexicon(tuple(terms.values()))


@cache
def _content() -> bytes:
    return (files("sluice_guardrail") / "assets" / "profanity.tsv").read_bytes()
