"""Passages and tool results that try to instruct the model that reads them."""

from typing import ClassVar

from sluice_guardrail.domain.detectors.prompt_injection import find, version
from sluice_guardrail.domain.model import Channel, Detection
from sluice_guardrail.domain.rules.rule import TOOL_ONLY, Family
from sluice_guardrail.domain.rules.rule_set import RuleSet
from sluice_guardrail.domain.texts import Text

DOCUMENT_FAMILIES = frozenset(Family) - TOOL_ONLY - {Family.NEW_TASK, Family.ACCESS}
TOOL_FAMILIES = DOCUMENT_FAMILIES | TOOL_ONLY


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
        return version(self._rules, TOOL_FAMILIES)

    def detect(self, subject: Text) -> Detection:
        """One finding for each family, and one for weak families that occur together."""
        families = TOOL_FAMILIES if subject.channel is Channel.TOOL else DOCUMENT_FAMILIES
        return find(self._rules, subject, families)
