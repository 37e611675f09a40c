"""Attacks that no single text holds: begun in one turn or passage, ended in the next."""

from dataclasses import replace
from typing import ClassVar

from sluice_guardrail.domain.conversation import Conversation
from sluice_guardrail.domain.detectors.documents import TOOL_FAMILIES
from sluice_guardrail.domain.detectors.prompt_injection import INSTRUCTION_FAMILIES, find, version
from sluice_guardrail.domain.model import Detection
from sluice_guardrail.domain.rules.rule import WEAK
from sluice_guardrail.domain.rules.rule_set import RuleSet


class SplitInjectionDetector:
    """Looks over the seams between texts of one channel and role.

    What decides nothing alone counts only within one text: a long talk has a little of everything.
    """

    name: ClassVar[str] = "split-injection"

    def __init__(self, rules: RuleSet, *, documents: bool = False) -> None:
        """`documents`: the texts are passages or tools' results."""
        self._rules = rules
        self._families = frozenset(TOOL_FAMILIES if documents else INSTRUCTION_FAMILIES) - WEAK

    @property
    def version(self) -> str:
        """Of the rules and of the views they search."""
        return version(self._rules, self._families)

    def detect(self, subject: Conversation) -> Detection:
        """One finding for each family that no text has by itself, in the segment where it starts."""
        joined = find(self._rules, subject.joined, self._families)
        alone = self._alone(subject) if joined.findings else {}
        found = Detection.of(
            replace(finding, span=span, segment=segment)
            for finding in joined.findings
            if finding.score > alone.get(finding.category, 0.0)
            for segment, span in [subject.place(finding.span)]
        )
        return replace(found, state=joined.state, detail=joined.detail)

    def _alone(self, subject: Conversation) -> dict[str, float]:
        """What the texts have by themselves: the best score of each category."""
        best: dict[str, float] = {}
        for _, text in subject.parts:
            for finding in find(self._rules, text, self._families).findings:
                best[finding.category] = max(finding.score, best.get(finding.category, 0.0))
        return best
