"""A policy at work: runs the checks it asks for and takes the strictest decision of what they find."""

import time
from collections.abc import Iterable, Sequence
from typing import TypeVar

from sluice_api.objects.guardrail_policy import GuardrailPolicySpec
from sluice_guardrail.domain.checks import Parts, Policy, checks
from sluice_guardrail.domain.conversation import conversations
from sluice_guardrail.domain.deciding import decided, too_long
from sluice_guardrail.domain.judging import Check, Outcome
from sluice_guardrail.domain.model import Answer, Channel, Gate, Reason, Segment, Verdict
from sluice_guardrail.domain.texts import Text

Subject = TypeVar("Subject")


class Screener:
    """Both gates under one policy, as it applies to one tenant. Thread-safe; holds no state between calls."""

    def __init__(self, policy: Policy, parts: Parts) -> None:
        self._policy = policy
        self._checks = checks(policy, parts)

    @property
    def spec(self) -> GuardrailPolicySpec:
        """The policy's words."""
        return self._policy.spec

    def screen_input(self, segments: Sequence[Segment]) -> Verdict:
        """Screens all segments: what users wrote, and what documents and tools brought in."""
        size = sum(len(segment.text) for segment in segments)
        if size > self.spec.max_input_characters:
            return too_long(self._policy, Reason.INPUT_TOO_LONG, size, Gate.INPUT)
        started = time.perf_counter()
        texts = [Text.of(segment) for segment in segments]
        return decided(self._policy, self._texts(texts), Gate.INPUT, started)

    def screen_passages(self, passages: Sequence[str]) -> Verdict:
        """Screens what an answer is made from."""
        started = time.perf_counter()
        texts = [Text(passage, Channel.DOCUMENT) for passage in passages]
        return decided(self._policy, self._texts(texts), Gate.OUTPUT, started)

    def screen_text(self, text: Text, context: Sequence[str], question: str) -> Verdict:
        """Screens one text outside of any run: an output with the passages it was made from, another with the texts
        that came before it, which are read on end with it. It is segment 0, and the first of those segment 1."""
        if text.channel is Channel.OUTPUT:
            return self.screen_output(Answer(question, text.text, tuple(context)))
        size = len(text.text) + sum(map(len, context))
        if size > self.spec.max_input_characters:
            return too_long(self._policy, Reason.INPUT_TOO_LONG, size, Gate.INPUT)
        started = time.perf_counter()
        before = [(index, Text(each, text.channel, text.role)) for index, each in enumerate(context, start=1)]
        outcomes = [*_run(self._checks.texts[text.channel], [(0, text)]), *self._joined([*before, (0, text)])]
        return decided(self._policy, outcomes, Gate.INPUT, started)

    def screen_output(self, answer: Answer, passages: Verdict | None = None) -> Verdict:
        """Screens a whole answer, and what it is made from unless that verdict is given."""
        if len(answer.text) > self.spec.max_input_characters:
            return too_long(self._policy, Reason.OUTPUT_TOO_LONG, len(answer.text), Gate.OUTPUT)
        started = time.perf_counter()
        known = passages or self.screen_passages(answer.passages)
        outcomes = [*self._surface(answer), *_run(self._checks.whole, [(0, answer)])]
        return decided(self._policy, outcomes, Gate.OUTPUT, started, known)

    def screen_part(self, answer: Answer) -> Verdict:
        """Screens a part of an answer by what a part can show: citations, leakage and personal data."""
        started = time.perf_counter()
        return decided(self._policy, self._surface(answer), Gate.OUTPUT, started)

    def too_long(self, size: int) -> Verdict:
        """The verdict on an answer that grows beyond what can be scanned."""
        return too_long(self._policy, Reason.OUTPUT_TOO_LONG, size, Gate.OUTPUT)

    def _texts(self, texts: Sequence[Text]) -> list[Outcome]:
        outcomes = []
        for channel in Channel:
            subjects = [(index, text) for index, text in enumerate(texts) if text.channel is channel]
            if subjects:
                outcomes += [*_run(self._checks.texts[channel], subjects), *self._joined(subjects)]
        return outcomes

    def _joined(self, texts: Sequence[tuple[int, Text]]) -> list[Outcome]:
        """Of what texts of one channel say only on end."""
        subjects = [(each.parts[0][0], each) for each in conversations(texts)]
        return _run(self._checks.conversations[texts[0][1].channel], subjects) if subjects else []

    def _surface(self, answer: Answer) -> list[Outcome]:
        return [
            *_run(self._checks.surface, [(0, answer)]),
            *_run(self._checks.texts[Channel.OUTPUT], [(0, Text(answer.text, Channel.OUTPUT))]),
        ]


def _run(wanted: Iterable[Check[Subject]], subjects: Sequence[tuple[int, Subject]]) -> list[Outcome]:
    return [check.run(subjects) for check in wanted]
