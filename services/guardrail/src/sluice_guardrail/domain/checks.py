"""The checks that a policy asks for, by what they look at."""

from dataclasses import dataclass, field

from sluice_api.objects.guardrail_policy import Action, GuardrailPolicySpec
from sluice_api.objects.guardrail_policy import ContentDetector as ContentSpec
from sluice_api.objects.guardrail_policy import TopicDetector as TopicSpec
from sluice_guardrail.domain.classifying.choosing import Classifiers, classifier_checks
from sluice_guardrail.domain.classifying.onnx_pairs import PairModels
from sluice_guardrail.domain.content.heads import heads
from sluice_guardrail.domain.conversation import Conversation
from sluice_guardrail.domain.detectors.citations import CitationDetector
from sluice_guardrail.domain.detectors.content import ContentDetector
from sluice_guardrail.domain.detectors.documents import DocumentInjectionDetector
from sluice_guardrail.domain.detectors.groundedness import GroundednessDetector
from sluice_guardrail.domain.detectors.leakage import LeakageDetector
from sluice_guardrail.domain.detectors.pii import PiiDetector
from sluice_guardrail.domain.detectors.profanity import ProfanityDetector
from sluice_guardrail.domain.detectors.prompt_injection import PromptInjectionDetector
from sluice_guardrail.domain.detectors.split_injection import SplitInjectionDetector
from sluice_guardrail.domain.detectors.topics import TopicDetector
from sluice_guardrail.domain.embedding import Embedder, MiniLmEmbedder
from sluice_guardrail.domain.judging import Check, TimedCheck, check
from sluice_guardrail.domain.model import Channel, Reason
from sluice_guardrail.domain.modules import ModulePolicy, Modules, NoModules
from sluice_guardrail.domain.rules.rule_set import RuleSet
from sluice_guardrail.domain.texts import Answer, Text


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as compiled, and the system prompts of the pipelines that use it."""

    name: str
    version: str
    spec: GuardrailPolicySpec
    instructions: tuple[str, ...] = ()

    @property
    def modules(self) -> frozenset[str]:
        """Digests of all modules that it names, for whatever tenant."""
        specs = (self.spec, *(self.spec.for_tenant(override.names[0]) for override in self.spec.tenants))
        return frozenset(policy.module for spec in specs for policy in spec.wasm)


@dataclass(frozen=True, slots=True)
class Parts:
    """What all policies share: built once in a process."""

    rules: RuleSet
    embedder: Embedder = field(default_factory=MiniLmEmbedder)
    classifiers: Classifiers = field(default_factory=Classifiers)
    """None unless given: rules alone then decide."""
    pairs: PairModels = field(default_factory=PairModels)
    modules: Modules = field(default_factory=NoModules)


@dataclass(frozen=True, slots=True)
class Checks:
    """What runs, in order."""

    texts: dict[Channel, tuple[Check[Text], ...]]
    """On each text of a channel. For `OUTPUT`, the answer's text and every window of it."""
    conversations: dict[Channel, tuple[Check[Conversation], ...]]
    """On the texts of one channel and role, read on end."""
    timed: dict[Channel, tuple[TimedCheck[Text], ...]]
    """On each text of a channel, after all those: in the policy's time, and only where no block is certain."""
    surface: tuple[Check[Answer], ...]
    """On an answer and on every window of it: what a part of it can show."""
    whole: tuple[Check[Answer], ...]
    """On a whole answer only."""
    modules: tuple[ModulePolicy, ...] = ()
    """Policies in WebAssembly, asked after all of these."""


def checks(policy: Policy, parts: Parts) -> Checks:
    """The checks of a policy.

    Raises:
        ServiceError: it asks for what is not there, or may not serve.
    """
    spec = policy.spec
    input_pii = check(PiiDetector(spec.input.pii), spec.input.pii, Reason.PII)
    input_profanity = check(ProfanityDetector(spec.input.profanity), spec.input.profanity, Reason.PROFANITY)
    documents = DocumentInjectionDetector(parts.rules)
    split_documents = SplitInjectionDetector(parts.rules, documents=True)
    return Checks(
        texts={
            Channel.USER: (
                *check(
                    PromptInjectionDetector(parts.rules), spec.input.prompt_injection, Reason.PROMPT_INJECTION
                ),
                *input_pii,
                *input_profanity,
                *_topics(spec.input.topics, parts),
                *_content(spec.input.content, parts),
            ),
            Channel.DOCUMENT: (*check(documents, spec.documents, Reason.DOCUMENT_INJECTION),),
            Channel.TOOL: (*check(documents, spec.tools, Reason.DOCUMENT_INJECTION), *input_pii),
            Channel.OUTPUT: (
                *check(PiiDetector(spec.output.pii), spec.output.pii, Reason.PII),
                *check(ProfanityDetector(spec.output.profanity), spec.output.profanity, Reason.PROFANITY),
                *_topics(spec.output.topics, parts),
                *_content(spec.output.content, parts),
            ),
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
        timed=classifier_checks(spec, parts.classifiers),
        surface=(
            *check(CitationDetector(), spec.output.citations, Reason.UNRESOLVED_CITATION),
            *check(LeakageDetector(policy.instructions), spec.output.leakage, Reason.PROMPT_LEAK),
        ),
        whole=(*_groundedness(spec, parts),),
        modules=parts.modules.load(spec.wasm),
    )


def _groundedness(spec: GuardrailPolicySpec, parts: Parts) -> list[Check[Answer]]:
    own = spec.output.groundedness
    if own.action is Action.ALLOW:
        return []
    model = None if own.model is None else parts.pairs.load(own.model)
    detector = GroundednessDetector(parts.embedder, model, spec.budget)
    return check(detector, own, Reason.UNGROUNDED, detector.threshold_set)


def _topics(spec: TopicSpec, parts: Parts) -> list[Check[Text]]:
    if not spec.topics:
        return []
    return check(TopicDetector(spec, parts.embedder), spec, Reason.TOPIC, "background-1")


def _content(spec: ContentSpec, parts: Parts) -> list[Check[Text]]:
    if spec.action is Action.ALLOW:
        return []
    shipped = heads()
    return check(ContentDetector(spec, parts.embedder, shipped), spec, Reason.CONTENT, shipped.version)
