"""Attempts to override or read out the instructions, by rules, in every view of a text."""

from collections.abc import Collection, Iterable
from typing import ClassVar

from sluice_guardrail.domain.model import Detection, Finding
from sluice_guardrail.domain.normalising.view import View
from sluice_guardrail.domain.normalising.views import FOLDED, REVERSED, ROT13
from sluice_guardrail.domain.rules.rule import DOCUMENT_ONLY, WEAK, Family
from sluice_guardrail.domain.rules.rule_set import Match, RuleSet
from sluice_guardrail.domain.texts import Text

_INSTRUCTION_FAMILIES = frozenset(Family) - DOCUMENT_ONLY
#: In these views ordinary text is noise; only what decides by itself counts there.
_NOISY_VIEWS = frozenset({ROT13, REVERSED})
#: Category of the finding that several weak ones add up to.
_COMBINED = "jailbreak"
#: Weak rules that must fire before they are added up.
_COMBINED_AT_LEAST = 2


class PromptInjectionDetector:
    """Looks through what a caller sends."""

    name: ClassVar[str] = "prompt-injection"
    version: ClassVar[str] = "rules-1"

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules

    def detect(self, subject: Text) -> Detection:
        """One finding for each family, and one for weak families that occur together."""
        return Detection.of(find(self._rules, subject, _INSTRUCTION_FAMILIES))


def find(rules: RuleSet, text: Text, families: Collection[Family]) -> list[Finding]:
    """The best finding of each family over all views; the plainest view wins a tie."""
    best: dict[str, Finding] = {}
    for view in text.views:
        wanted = frozenset(families) - WEAK if view.name in _NOISY_VIEWS else families
        for finding in _findings(view, list(rules.search(view.text, wanted)), text.text):
            known = best.get(finding.category)
            if known is None or finding.score > known.score:
                best[finding.category] = finding
    return sorted(best.values(), key=lambda finding: -finding.score)


def _findings(view: View, matches: list[Match], text: str) -> Iterable[Finding]:
    for match in matches:
        yield _finding(view, match.family, match.score, [match], text)
    weak = [match for match in matches if match.family in WEAK]
    if len(weak) >= _COMBINED_AT_LEAST:
        absent = 1.0
        for match in weak:
            absent *= 1.0 - match.score
        yield _finding(view, _COMBINED, 1.0 - absent, weak, text)


def _finding(view: View, category: str, score: float, matches: list[Match], text: str) -> Finding:
    start, end = min(match.start for match in matches), max(match.end for match in matches)
    span = view.source(start, end)
    as_written = view.name == FOLDED and text[span.start : span.end].lower() == view.text[start:end]
    return Finding(str(category), round(score, 4), span, "raw" if as_written else view.name)
