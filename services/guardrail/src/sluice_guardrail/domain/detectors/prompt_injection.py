"""Attempts to override or read out the instructions, by rules, in every view of a text."""

from collections.abc import Collection, Iterable
from typing import ClassVar

from sluice_guardrail.domain.model import Detection, Finding, ScanState
from sluice_guardrail.domain.normalising import views
from sluice_guardrail.domain.normalising.ciphers import is_ciphered
from sluice_guardrail.domain.normalising.view import View
from sluice_guardrail.domain.rules.rule import DOCUMENT_ONLY, WEAK, Family
from sluice_guardrail.domain.rules.rule_set import Match, RuleSet
from sluice_guardrail.domain.texts import Text

INSTRUCTION_FAMILIES = frozenset(Family) - DOCUMENT_ONLY
#: Category of the finding that several weak ones add up to.
_COMBINED = "jailbreak"
#: Weak rules that must fire before they are added up.
_COMBINED_AT_LEAST = 2


class PromptInjectionDetector:
    """Looks through what a caller sends."""

    name: ClassVar[str] = "prompt-injection"

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules

    @property
    def version(self) -> str:
        """Of the rules and of the views they search."""
        return version(self._rules, INSTRUCTION_FAMILIES)

    def detect(self, subject: Text) -> Detection:
        """One finding for each family, and one for weak families that occur together."""
        return find(self._rules, subject, INSTRUCTION_FAMILIES)


def version(rules: RuleSet, families: Collection[Family]) -> str:
    """Changes whenever other findings are possible."""
    return f"rules-{rules.version(families)}-views-{views.VERSION}"


def find(rules: RuleSet, text: Text, families: Collection[Family]) -> Detection:
    """The best finding of each family over all views; the plainest view wins a tie."""
    best: dict[str, Finding] = {}
    complete = True
    for view in text.views:
        # Where ordinary text is noise, only what decides by itself counts.
        wanted = frozenset(families) - WEAK if is_ciphered(view.name) else families
        searched = rules.search(view.text, wanted)
        complete = complete and searched.complete
        for finding in _findings(view, searched.matches, text.text):
            known = best.get(finding.category)
            if known is None or finding.score > known.score:
                best[finding.category] = finding
    found = Detection.of(sorted(best.values(), key=lambda finding: -finding.score))
    if complete and text.decoded_whole:
        return found
    detail = "too many words of attacks" if not complete else "too much to decode"
    return Detection(found.findings, found.score, ScanState.PARTIAL, detail)


def _findings(view: View, matches: Iterable[Match], text: str) -> Iterable[Finding]:
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
    as_written = view.name == views.FOLDED and text[span.start : span.end].lower() == view.text[start:end]
    return Finding(str(category), round(score, 4), span, "raw" if as_written else view.name)
