"""The checks that a policy asks for, by what they look at."""

from dataclasses import dataclass

from sluice_api.objects.guardrail_policy import GuardrailPolicySpec
from sluice_guardrail.domain.conversation import Conversation
from sluice_guardrail.domain.detectors.citations import CitationDetector
from sluice_guardrail.domain.detectors.documents import DocumentInjectionDetector
from sluice_guardrail.domain.detectors.groundedness import GroundednessDetector
from sluice_guardrail.domain.detectors.leakage import LeakageDetector
from sluice_guardrail.domain.detectors.pii import PiiDetector
from sluice_guardrail.domain.detectors.prompt_injection import PromptInjectionDetector
from sluice_guardrail.domain.detectors.split_injection import SplitInjectionDetector
from sluice_guardrail.domain.judging import Check, check
from sluice_guardrail.domain.model import Answer, Channel, Reason
from sluice_guardrail.domain.rules.rule_set import RuleSet
from sluice_guardrail.domain.texts import Text


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as compiled, and the system prompts of the pipelines that use it."""

    name: str
    version: str
    spec: GuardrailPolicySpec
    instructions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parts:
    """What all policies share: built once in a process."""

    rules: RuleSet


@dataclass(frozen=True, slots=True)
class Checks:
    """What runs, in order."""

    texts: dict[Channel, tuple[Check[Text], ...]]
    """On each text of a channel. For `OUTPUT`, the answer's text and every window of it."""
    conversations: dict[Channel, tuple[Check[Conversation], ...]]
    """On the texts of one channel and role, read on end."""
    surface: tuple[Check[Answer], ...]
    """On an answer and on every window of it: what a part of it can show."""
    whole: tuple[Check[Answer], ...]
    """On a whole answer only."""


def checks(policy: Policy, parts: Parts) -> Checks:
    """The checks of a policy."""
    spec = policy.spec
    input_pii = check(PiiDetector(spec.input.pii), spec.input.pii, Reason.PII)
    documents = DocumentInjectionDetector(parts.rules)
    split_documents = SplitInjectionDetector(parts.rules, documents=True)
    return Checks(
        texts={
            Channel.USER: (
                *check(
                    PromptInjectionDetector(parts.rules), spec.input.prompt_injection, Reason.PROMPT_INJECTION
                ),
                *input_pii,
            ),
            Channel.DOCUMENT: (*check(documents, spec.documents, Reason.DOCUMENT_INJECTION),),
            Channel.TOOL: (*check(documents, spec.tools, Reason.DOCUMENT_INJECTION), *input_pii),
            Channel.OUTPUT: (*check(PiiDetector(spec.output.pii), spec.output.pii, Reason.PII),),
        },
        conversations={
            Channel.USER: (
                *check(
                    SplitInjectionDetector(parts.rules), spec.input.prompt_injection, Reason.PROMPT_INJECTION
                ),
            ),
            Channel.DOCUMENT: (*check(split_documents, spec.documents, Reason.DOCUMENT_INJECTION),),
            Channel.TOOL: (*check(split_documents, spec.tools, Reason.DOCUMENT_INJECTION),),
        },
        surface=(
            *check(CitationDetector(), spec.output.citations, Reason.UNRESOLVED_CITATION),
            *check(LeakageDetector(policy.instructions), spec.output.leakage, Reason.PROMPT_LEAK),
        ),
        whole=(*check(GroundednessDetector(), spec.output.groundedness, Reason.UNGROUNDED),),
    )
