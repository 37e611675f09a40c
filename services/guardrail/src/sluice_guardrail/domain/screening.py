"""A policy at work: runs the checks it asks for and takes the strictest decision of what they find."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from sluice_api.objects.guardrail_policy import GuardrailPolicySpec, WasmStage
from sluice_guardrail.domain.checks import Parts, Policy, checks
from sluice_guardrail.domain.classifying.allowance import Allowance
from sluice_guardrail.domain.deciding import decided, too_long
from sluice_guardrail.domain.judging import Check, Outcome
from sluice_guardrail.domain.model import (
    NOBODY,
    Answer,
    Caller,
    Channel,
    Gate,
    Judged,
    Reason,
    Segment,
    Treated,
    Verdict,
)
from sluice_guardrail.domain.modules import ask
from sluice_guardrail.domain.redacting.redactor import Redactor, applied
from sluice_guardrail.domain.texts import Text

Subject = TypeVar("Subject")


class Screener:
    """Both gates under one policy, as it applies to one tenant. Thread-safe; holds no state between calls.

    Raises:
        ServiceError: the policy asks for what is not there, or may not serve.
    """

    def __init__(self, policy: Policy, parts: Parts) -> None:
        self._policy = policy
        self._checks = checks(policy, parts)

    @property
    def name(self) -> str:
        """The policy's name."""
        return self._policy.name

    @property
    def spec(self) -> GuardrailPolicySpec:
        """The policy's words."""
        return self._policy.spec

    @property
    def asks_modules(self) -> bool:
        """Whether policies in WebAssembly have a say, so that screening a short text may take long, too."""
        return bool(self._checks.modules)

    def screen_input(
        self, segments: Sequence[Segment], caller: Caller = NOBODY, redactor: Redactor | None = None
    ) -> Verdict:
        """Screens all segments: what users wrote, and what documents and tools brought in.

        Args:
            redactor: Redacts, and knows afterwards what was redacted; a new one when not given.
        """
        size = sum(len(segment.text) for segment in segments)
        if size > self.spec.max_input_characters:
            return too_long(self._policy, Reason.INPUT_TOO_LONG, size, Gate.INPUT)
        started = time.perf_counter()
        texts = [Text.of(segment) for segment in segments]
        outcomes = self._texts(texts)
        outcomes += ask(self._checks.modules, WasmStage.PRE, texts, outcomes, caller)
        return _treated(decided(self._policy, outcomes, Gate.INPUT, started), texts, redactor or Redactor())

    def screen_passages(self, passages: Sequence[str], allowance: Allowance | None = None) -> Verdict:
        """Screens what an answer is made from.

        Args:
            allowance: For the classifiers; by default the policy's.
        """
        started = time.perf_counter()
        texts = [Text(passage, Channel.DOCUMENT) for passage in passages]
        verdict = decided(self._policy, self._texts(texts, allowance), Gate.OUTPUT, started)
        return _treated(verdict, texts, Redactor())

    def screen_text(
        self, text: Text, context: Sequence[str], question: str, caller: Caller = NOBODY
    ) -> Verdict:
        """Screens one text outside of any run; an output with the passages it was made from."""
        if text.channel is Channel.OUTPUT:
            verdict = self.screen_output(Answer(question, text.text, tuple(context)), caller=caller)
            return _treated(verdict, [text], Redactor())
        return self.screen_input([Segment(text.channel, text.role, text.text)], caller)

    def screen_output(
        self, answer: Answer, passages: Verdict | None = None, caller: Caller = NOBODY
    ) -> Verdict:
        """Screens a whole answer, and what it is made from unless that verdict is given."""
        if len(answer.text) > self.spec.max_input_characters:
            return too_long(self._policy, Reason.OUTPUT_TOO_LONG, len(answer.text), Gate.OUTPUT)
        started = time.perf_counter()
        known = passages or self.screen_passages(answer.passages)
        outcomes = [*self._surface(answer), *_run(self._checks.whole, [(0, answer)])]
        outcomes += self._asked(WasmStage.POST, answer, outcomes, caller)
        return decided(self._policy, outcomes, Gate.OUTPUT, started, known)

    def screen_part(self, answer: Answer, end: int | None = None, caller: Caller = NOBODY) -> Verdict:
        """Screens a part of an answer by what a part can show: citations, leakage and personal data.

        Args:
            end: What begins at this place of the part or behind it is left for a later part, which shows more of it.
        """
        started = time.perf_counter()
        outcomes = self._surface(answer)
        outcomes += self._asked(WasmStage.STREAM, answer, outcomes, caller)
        if end is not None:
            outcomes = [outcome.until(end) for outcome in outcomes]
        return decided(self._policy, outcomes, Gate.OUTPUT, started)

    def too_long(self, size: int) -> Verdict:
        """The verdict on an answer that grows beyond what can be scanned."""
        return too_long(self._policy, Reason.OUTPUT_TOO_LONG, size, Gate.OUTPUT)

    def _texts(self, texts: Sequence[Text], allowance: Allowance | None = None) -> list[Outcome]:
        """Runs what is quick on all texts, then what may not be finished in time, unless a block is certain."""
        of_channels = [
            (channel, subjects)
            for channel in Channel
            if (subjects := [(index, text) for index, text in enumerate(texts) if text.channel is channel])
        ]
        outcomes = [
            outcome
            for channel, subjects in of_channels
            for outcome in _run(self._checks.texts[channel], subjects)
        ]
        allowance = allowance or Allowance.of(self.spec.budget)
        for channel, subjects in of_channels:
            for check in self._checks.timed[channel]:
                outcomes.append(check.run_within(subjects, allowance, outcomes))
        return outcomes

    def _surface(self, answer: Answer) -> list[Outcome]:
        return [
            *_run(self._checks.surface, [(0, answer)]),
            *_run(self._checks.texts[Channel.OUTPUT], [(0, Text(answer.text, Channel.OUTPUT))]),
        ]

    def _asked(
        self, stage: WasmStage, answer: Answer, outcomes: Sequence[Outcome], caller: Caller
    ) -> list[Outcome]:
        before = (answer.question,) if answer.question else ()
        text = Text(answer.text, Channel.OUTPUT)
        return ask(self._checks.modules, stage, [text], outcomes, caller, before)


def _treated(verdict: Verdict, texts: Sequence[Text], redactor: Redactor) -> Verdict:
    """The verdict with the texts that it changes."""
    if not verdict.redactions:
        return verdict
    redactor.pass_over((text.text for text in texts), verdict.redactions)
    own: dict[int, list[Judged]] = {}
    for judged in verdict.redactions:
        own.setdefault(judged.segment, []).append(judged)
    treated = [
        Treated(index, applied(texts[index].text, redactor.edits(texts[index].text, own[index])))
        for index in sorted(own)
    ]
    return replace(verdict, treated=tuple(treated))


def _run(wanted: Iterable[Check[Subject]], subjects: Sequence[tuple[int, Subject]]) -> list[Outcome]:
    return [check.run(subjects) for check in wanted]
