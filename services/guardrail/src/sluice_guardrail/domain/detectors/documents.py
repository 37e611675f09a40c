"""Passages and tool results that try to instruct the model that reads them."""

from typing import ClassVar

from sluice_guardrail.domain.detectors.prompt_injection import find, version
from sluice_guardrail.domain.model import Detection
from sluice_guardrail.domain.rules.rule import WEAK, Family
from sluice_guardrail.domain.rules.rule_set import RuleSet
from sluice_guardrail.domain.texts import Text

DOCUMENT_FAMILIES = (frozenset(Family) - WEAK) | {Family.EXFILTRATION}


class DocumentInjectionDetector:
    """Looks through text that nobody in the conversation wrote.

    What a user may say to a model is suspicious in a document: it is addressed to the model all the same.
    """

    name: ClassVar[str] = "document-injection"

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules

    @property
    def version(self) -> str:
        """Of the rules and of the views they search."""
        return version(self._rules, DOCUMENT_FAMILIES)

    def detect(self, subject: Text) -> Detection:
        """One finding for each family."""
        return find(self._rules, subject, DOCUMENT_FAMILIES)
