"""A policy at work: runs the detectors it asks for and takes the strictest decision of what they find."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sluice_api.objects.guardrail_policy import Action, GuardrailPolicySpec
from sluice_api.objects.guardrail_policy import Detector as DetectorSpec
from sluice_guardrail.domain.detectors import Detector, Subject
from sluice_guardrail.domain.detectors.citations import CitationDetector
from sluice_guardrail.domain.detectors.documents import DocumentInjectionDetector
from sluice_guardrail.domain.detectors.groundedness import GroundednessDetector
from sluice_guardrail.domain.detectors.leakage import LeakageDetector
from sluice_guardrail.domain.detectors.pii import PiiDetector
from sluice_guardrail.domain.detectors.prompt_injection import PromptInjectionDetector
from sluice_guardrail.domain.messages import message_for
from sluice_guardrail.domain.model import (
    Answer,
    Channel,
    Decision,
    Finding,
    Gate,
    Judged,
    Reason,
    Segment,
    Span,
    Verdict,
)
from sluice_guardrail.domain.rules.rule_set import RuleSet

_DECISIONS = {Action.ALLOW: Decision.ALLOW, Action.FLAG: Decision.FLAG, Action.BLOCK: Decision.BLOCK}


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as compiled, and the system prompts of the pipelines that use it."""

    name: str
    version: str
    spec: GuardrailPolicySpec
    instructions: tuple[str, ...] = field(default=())


class Screener:
    """Both gates under one policy. Thread-safe; holds no state between calls."""

    def __init__(self, policy: Policy, rules: RuleSet) -> None:
        self._policy = policy
        self._injection = PromptInjectionDetector(rules)
        self._documents = DocumentInjectionDetector(rules)
        self._citations = CitationDetector()
        self._groundedness = GroundednessDetector()
        self._leakage = LeakageDetector(policy.instructions)
        self._input_pii = PiiDetector(policy.spec.input.pii)
        self._output_pii = PiiDetector(policy.spec.output.pii)

    @property
    def spec(self) -> GuardrailPolicySpec:
        """The policy's words."""
        return self._policy.spec

    def screen_input(self, segments: Sequence[Segment]) -> Verdict:
        """Screens all segments: what users wrote, and what documents and tools brought in."""
        size = sum(len(segment.text) for segment in segments)
        if size > self.spec.max_input_characters:
            return self._too_long(Reason.INPUT_TOO_LONG, size, Gate.INPUT)
        judged: list[Judged] = []
        for index, segment in enumerate(segments):
            if segment.channel is Channel.USER:
                judged += _run(
                    self._injection,
                    self.spec.input.prompt_injection,
                    segment.text,
                    Reason.PROMPT_INJECTION,
                    index,
                )
            else:
                judged += _run(
                    self._documents, self.spec.documents, segment.text, Reason.DOCUMENT_INJECTION, index
                )
            judged += _run(self._input_pii, self.spec.input.pii, segment.text, Reason.PII, index)
        return self._verdict(judged, Gate.INPUT)

    def screen_output(self, answer: Answer, passages: Verdict | None = None) -> Verdict:
        """Screens a whole answer, and what it is made from unless that verdict is given."""
        if len(answer.text) > self.spec.max_input_characters:
            return self._too_long(Reason.OUTPUT_TOO_LONG, len(answer.text), Gate.OUTPUT)
        known = passages or self.screen_passages(answer.passages)
        judged = [*self._surface(answer), *known.findings]
        judged += _run(self._groundedness, self.spec.output.groundedness, answer, Reason.UNGROUNDED)
        return self._verdict(judged, Gate.OUTPUT)

    def screen_passages(self, passages: Sequence[str]) -> Verdict:
        """Screens what an answer is made from."""
        judged = (
            judged
            for index, passage in enumerate(passages)
            for judged in _run(
                self._documents, self.spec.documents, passage, Reason.DOCUMENT_INJECTION, index
            )
        )
        return self._verdict(judged, Gate.OUTPUT)

    def screen_part(self, answer: Answer) -> Verdict:
        """Screens a part of an answer by what a part can show: citations, leakage and personal data."""
        return self._verdict(self._surface(answer), Gate.OUTPUT)

    def too_long(self, size: int) -> Verdict:
        """The verdict on an answer that grows beyond what can be scanned."""
        return self._too_long(Reason.OUTPUT_TOO_LONG, size, Gate.OUTPUT)

    def _surface(self, answer: Answer) -> Iterator[Judged]:
        output = self.spec.output
        yield from _run(self._citations, output.citations, answer, Reason.UNRESOLVED_CITATION)
        yield from _run(self._leakage, output.leakage, answer, Reason.PROMPT_LEAK)
        yield from _run(self._output_pii, output.pii, answer.text, Reason.PII)

    def _verdict(self, judged: Iterable[Judged], gate: Gate, *, partial: bool = False) -> Verdict:
        findings = tuple(sorted(judged, key=lambda found: (-found.decision, -found.finding.score)))
        decision = max((found.decision for found in findings), default=Decision.ALLOW)
        reason = findings[0].reason if decision is not Decision.ALLOW else None
        message = ""
        if reason is not None:
            blocked = decision is Decision.BLOCK
            message = (self.spec.block_message if blocked else "") or message_for(reason, self.spec, gate)
        return Verdict(
            decision, reason, message, findings, self._policy.name, self._policy.version, partial=partial
        )

    def _too_long(self, reason: Reason, size: int, gate: Gate) -> Verdict:
        finding = Judged(
            Finding("length", 1.0, Span(0, min(size, 0xFFFFFFFF))), "length", "1", 1.0, Decision.BLOCK, reason
        )
        return self._verdict([finding], gate, partial=True)


def _run(
    detector: Detector[Subject], spec: DetectorSpec, subject: Subject, reason: Reason, segment: int = 0
) -> list[Judged]:
    """What a detector finds and what the policy makes of it; a detector whose action is `allow` does not run."""
    if spec.action is Action.ALLOW:
        return []
    return [
        Judged(
            finding,
            detector.name,
            detector.version,
            spec.threshold,
            _DECISIONS[spec.action] if finding.score >= spec.threshold else Decision.ALLOW,
            reason,
            segment,
        )
        for finding in detector.detect(subject)
    ]
