"""Searches a text for all rules in one pass, and each match once."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import re2  # type: ignore[import-untyped]

from sluice_guardrail.domain.rules.families import english_rules
from sluice_guardrail.domain.rules.languages import other_rules
from sluice_guardrail.domain.rules.reporting import is_reported
from sluice_guardrail.domain.rules.rule import SCORES, Family, Rule

#: Bytes that the automaton of all rules may take; RE2 builds it anew when they are used up.
_AUTOMATON_BYTES = 64 << 20
#: Matches of one rule that are looked at in one text. The first that counts is enough.
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


class RuleSet:
    """Rules that are compiled once; thread-safe."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        options = re2.Options()
        options.max_mem = _AUTOMATON_BYTES
        self._rules = [(rule, re2.compile(rule.expression)) for rule in rules]
        self._all = re2.Set.SearchSet(options)
        for rule in rules:
            self._all.Add(rule.expression)
        self._all.Compile()

    def search(self, text: str, families: Collection[Family]) -> Iterator[Match]:
        """The best match of every rule of these families that fires."""
        for index in sorted(self._all.Match(text) or ()):
            rule, compiled = self._rules[index]
            if rule.family not in families:
                continue
            matches = self._matches(rule, compiled.finditer(text), text)
            best = max(matches, key=lambda match: match.score, default=None)
            if best is not None:
                yield best

    @staticmethod
    def _matches(rule: Rule, found: Iterator[Any], text: str) -> Iterator[Match]:
        score = SCORES[rule.family]
        for _, match in zip(range(_MATCHES_PER_RULE), found, strict=False):
            start, end = match.span(1)
            reported = not rule.literal and is_reported(text, start, end)
            yield Match(rule.family, score * _REPORTED_SHARE if reported else score, start, end)


@cache
def all_rules() -> RuleSet:
    """Every rule there is. Takes about a second to build, once in a process."""
    return RuleSet((*english_rules(), *other_rules()))
