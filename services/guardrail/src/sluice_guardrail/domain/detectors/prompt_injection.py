"""Attempts to override or read out the instructions, by rules, in every view of a text."""

import math
from collections.abc import Collection, Iterable, Iterator
from typing import ClassVar

from sluice_guardrail.domain.model import Detection, Finding, ScanState, Span
from sluice_guardrail.domain.normalising import views
from sluice_guardrail.domain.normalising.ciphers import is_ciphered
from sluice_guardrail.domain.normalising.view import View
from sluice_guardrail.domain.rules.rule import DOCUMENT_ONLY, SCORES, TOOL_ONLY, WEAK, Family
from sluice_guardrail.domain.rules.rule_set import Match, RuleSet
from sluice_guardrail.domain.rules.traces import traces
from sluice_guardrail.domain.texts import Text

INSTRUCTION_FAMILIES = frozenset(Family) - DOCUMENT_ONLY - TOOL_ONLY
#: The view of what stands in the text as it was found.
_RAW = "raw"
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
    traced = list(_traced(text))
    for view in text.views:
        # Where ordinary text is noise, only what decides by itself counts.
        wanted = frozenset(families) - WEAK if is_ciphered(view.name) else families
        searched = rules.search(view.text, wanted)
        complete = complete and searched.complete
        found = [_finding(view, match, text.text) for match in searched.matches]
        found += traced if view.name == views.FOLDED else []
        for finding in (*found, *_combined(found, view.name)):
            known = best.get(finding.category)
            if known is None or finding.score > known.score:
                best[finding.category] = finding
    detected = Detection.of(sorted(best.values(), key=lambda finding: -finding.score))
    if complete and text.decoded_whole:
        return detected
    detail = "too many words of attacks" if not complete else "too much to decode"
    return Detection(detected.findings, detected.score, ScanState.PARTIAL, detail)


def _traced(text: Text) -> Iterator[Finding]:
    for trace in traces(text.text):
        family = Family.SMUGGLED if trace.smuggled else Family.INVISIBLE
        yield Finding(family, SCORES[family], trace.span)


def _combined(findings: Iterable[Finding], view: str) -> Iterator[Finding]:
    """What several weak findings add up to."""
    weak = [finding for finding in findings if finding.category in WEAK]
    if len(weak) >= _COMBINED_AT_LEAST:
        score = 1.0 - math.prod(1.0 - finding.score for finding in weak)
        start, end = min(each.span.start for each in weak), max(each.span.end for each in weak)
        raw = all(finding.view == _RAW for finding in weak)
        yield Finding(_COMBINED, round(score, 4), Span(start, end), _RAW if raw else view)


def _finding(view: View, match: Match, text: str) -> Finding:
    span = view.source(match.start, match.end)
    as_written = (
        view.name == views.FOLDED
        and text[span.start : span.end].lower() == view.text[match.start : match.end]
    )
    return Finding(match.family, round(match.score, 4), span, _RAW if as_written else view.name)
