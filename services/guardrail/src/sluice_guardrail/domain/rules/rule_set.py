"""Searches a text for all rules.

A search in two stages: one automaton for the plain words without which no rule can match, then only the rules whose
words are there, each by its own automaton. One automaton for all rules would be as fast on ordinary text; on text
that is nothing but trigger words it builds new states at nearly every letter, a hundred times as slow.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import re2  # type: ignore[import-untyped]

from sluice_guardrail.domain.rules.families import english_rules
from sluice_guardrail.domain.rules.languages import other_rules
from sluice_guardrail.domain.rules.reporting import is_reported
from sluice_guardrail.domain.rules.rule import SCORES, Family, Rule

#: Long texts are searched in blocks: rules' words must be near each other. No rule reaches over more than the overlap,
#: save where words in between are longer than words are.
_BLOCK = 2_000
_OVERLAP = 600
#: Searches for single rules that a text may cost: a few, and so many for each block. A hundred times what ordinary
#: text asks for, and ten times what text about attacks does.
_SEARCHES = 1_000
_SEARCHES_PER_BLOCK = 60
#: Matches of one rule that are looked at in one block. The first that counts is enough.
_MATCHES_PER_RULE = 32
#: A phrase that is only talked about keeps this share of its score.
_REPORTED_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Match:
    """Where a rule fired in the searched text, and what that is worth."""

    family: Family
    score: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search came to."""

    matches: tuple[Match, ...]
    """The best of every rule that fired."""
    complete: bool
    """False where the text asked for so many searches that some were left out."""


class RuleSet:
    """Rules that are compiled once; thread-safe."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = [(rule, re2.compile(rule.expression)) for rule in rules]
        self._words = re2.Filter()
        for rule in rules:
            self._words.Add(rule.expression)
        self._words.Compile()
        self._versions = {family: _digest(rules, family) for family in Family}

    def version(self, families: Collection[Family]) -> str:
        """Changes with any rule of these families, and with what they are worth."""
        digests = "".join(self._versions[family] for family in sorted(families))
        return hashlib.sha256(digests.encode()).hexdigest()[:8]

    def search(self, text: str, families: Collection[Family]) -> Searched:
        """Looks for the rules of these families."""
        best: dict[int, Match] = {}
        left = _SEARCHES + _SEARCHES_PER_BLOCK * (len(text) // _BLOCK)
        for start in range(0, max(1, len(text) - _OVERLAP), _BLOCK - _OVERLAP):
            block = text[start : start + _BLOCK]
            encoded = block.encode()
            for index in sorted(self._words.Match(encoded, True) or ()):  # noqa: FBT003 - it takes no keyword
                rule, compiled = self._rules[index]
                known = best.get(index)
                if rule.family not in families or (known is not None and known.score >= SCORES[rule.family]):
                    continue
                if not left:
                    return Searched(tuple(best.values()), complete=False)
                left -= 1
                if compiled.search(encoded) is None:  # half the cost of a search in text that finds nothing
                    continue
                found = self._matches(rule, compiled.finditer(block), block, start)
                match = max(found, key=lambda each: each.score, default=None)
                if match is not None and (known is None or match.score > known.score):
                    best[index] = match
        return Searched(tuple(best.values()), complete=True)

    @staticmethod
    def _matches(rule: Rule, found: Iterator[Any], block: str, at: int) -> Iterator[Match]:
        score = SCORES[rule.family]
        for _, match in zip(range(_MATCHES_PER_RULE), found, strict=False):
            start, end = match.span(1)
            reported = not rule.literal and is_reported(block, start, end)
            yield Match(rule.family, score * _REPORTED_SHARE if reported else score, at + start, at + end)
            if not reported:
                return


@cache
def all_rules() -> RuleSet:
    """Every rule there is. Takes about half a second to build, once in a process."""
    return RuleSet((*english_rules(), *other_rules()))


def _digest(rules: Sequence[Rule], family: Family) -> str:
    """Of all that a family's findings depend on."""
    digest = hashlib.sha256(f"{family} {SCORES[family]}".encode())
    for rule in rules:
        if rule.family is family:
            digest.update(f"\0{rule.expression}\0{rule.literal}".encode())
    return digest.hexdigest()
