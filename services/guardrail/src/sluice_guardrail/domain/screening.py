"""A policy at work: runs the checks it asks for and takes the strictest decision of what they find."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from sluice_api.objects.guardrail_policy import GuardrailPolicySpec, WasmStage
from sluice_guardrail.domain.checks import Parts, Policy, checks
from sluice_guardrail.domain.classifying.allowance import Allowance
from sluice_guardrail.domain.conversation import conversations
from sluice_guardrail.domain.deciding import decided, too_long
from sluice_guardrail.domain.judging import Check, Outcome
from sluice_guardrail.domain.model import (
    NOBODY,
    Caller,
    Channel,
    Edit,
    Gate,
    Judged,
    Passage,
    Reason,
    Segment,
    Verdict,
)
from sluice_guardrail.domain.modules import ask
from sluice_guardrail.domain.redacting.redactor import Redactor
from sluice_guardrail.domain.texts import Answer, Text
from sluice_guardrail.domain.treating import treated_passages, treated_segments

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
        return self._input(texts, self._texts(texts), caller, redactor or Redactor(), started)

    def screen_passages(self, passages: Sequence[str], allowance: Allowance | None = None) -> Verdict:
        """Screens what an answer is made from.

        Args:
            allowance: For the classifiers; by default the policy's.
        """
        started = time.perf_counter()
        texts = [Text(passage, Channel.DOCUMENT) for passage in passages]
        # A block of one passage settles nothing about the others.
        allowance = allowance or Allowance.of(self.spec.budget, each=True)
        return decided(self._policy, self._texts(texts, allowance), Gate.OUTPUT, started)

    def treat_passages(self, passages: Sequence[Passage], allowance: Allowance | None = None) -> Verdict:
        """Screens passages before a model reads them, and gives those that it may not read as they are."""
        read = [passage.read for passage in passages]
        verdict = self.screen_passages(read, allowance)
        redacted = _redacted(verdict, read, Redactor())
        treated = treated_passages(passages, verdict, self.spec, redacted, self._again)
        return replace(verdict, treated=treated)

    def screen_text(
        self, text: Text, context: Sequence[str], question: str, caller: Caller = NOBODY
    ) -> Verdict:
        """Screens one text outside of any run: an output with the passages it was made from, another with the texts
        that came before it, which are read on end with it. It is segment 0, and the first of those segment 1."""
        if text.channel is Channel.OUTPUT:
            verdict = self.screen_output(Answer(question, text.text, tuple(context)), caller=caller)
            return self._treated(verdict, [text], Redactor())
        size = len(text.text) + sum(map(len, context))
        if size > self.spec.max_input_characters:
            return too_long(self._policy, Reason.INPUT_TOO_LONG, size, Gate.INPUT)
        started = time.perf_counter()
        before = [(index, Text(each, text.channel, text.role)) for index, each in enumerate(context, start=1)]
        return self._input([text], self._texts([text], before=before), caller, Redactor(), started)

    def screen_output(
        self, answer: Answer, passages: Verdict | None = None, caller: Caller = NOBODY
    ) -> Verdict:
        """Screens a whole answer, and what it is made from unless that verdict is given."""
        if len(answer.text) > self.spec.max_input_characters:
            return too_long(self._policy, Reason.OUTPUT_TOO_LONG, len(answer.text), Gate.OUTPUT)
        started = time.perf_counter()
        known = passages
        if known is None and not answer.passages_screened:
            known = self.screen_passages(answer.passages)
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

    def _input(
        self,
        texts: Sequence[Text],
        outcomes: list[Outcome],
        caller: Caller,
        redactor: Redactor,
        started: float,
    ) -> Verdict:
        outcomes += ask(self._checks.modules, WasmStage.PRE, texts, outcomes, caller)
        verdict = decided(self._policy, outcomes, Gate.INPUT, started)
        return self._treated(verdict, texts, redactor)

    def _texts(
        self,
        texts: Sequence[Text],
        allowance: Allowance | None = None,
        before: Sequence[tuple[int, Text]] = (),
    ) -> list[Outcome]:
        """Runs what is quick on all texts, then what may not be finished in time, unless a block is certain.

        Args:
            before: Texts that are only read on end with the others.
        """
        of_channels = [
            (channel, subjects)
            for channel in Channel
            if (subjects := [(index, text) for index, text in enumerate(texts) if text.channel is channel])
        ]
        outcomes = [
            outcome
            for channel, subjects in of_channels
            for outcome in (
                *_run(self._checks.texts[channel], subjects),
                *self._joined(channel, [*before, *subjects]),
            )
        ]
        allowance = allowance or Allowance.of(self.spec.budget)
        for channel, subjects in of_channels:
            for check in self._checks.timed[channel]:
                outcomes.append(check.run_within(subjects, allowance, outcomes))
        return outcomes

    def _joined(self, channel: Channel, texts: Sequence[tuple[int, Text]]) -> list[Outcome]:
        """Of what texts of one channel say only on end."""
        joined = [(each.parts[0][0], each) for each in conversations(texts)]
        return _run(self._checks.conversations[channel], joined) if joined else []

    def _treated(self, verdict: Verdict, texts: Sequence[Text], redactor: Redactor) -> Verdict:
        """The verdict with the texts that it changes."""
        redacted = _redacted(verdict, [text.text for text in texts], redactor)
        return replace(verdict, treated=treated_segments(texts, verdict, self.spec, redacted, self._again))

    def _again(self, text: Text) -> list[Judged]:
        """What else stands in a text of which the best place of each kind was found."""
        outcomes = _run(self._checks.texts[text.channel], [(0, text)])
        return [judged for outcome in outcomes for judged in outcome.judged]

    def _surface(self, answer: Answer) -> list[Outcome]:
        return [
            *_run(self._checks.surface, [(0, answer)]),
            *_run(self._checks.texts[Channel.OUTPUT], [(0, answer.written)]),
        ]

    def _asked(
        self, stage: WasmStage, answer: Answer, outcomes: Sequence[Outcome], caller: Caller
    ) -> list[Outcome]:
        before = (answer.question,) if answer.question else ()
        return ask(self._checks.modules, stage, [answer.written], outcomes, caller, before)


def _redacted(verdict: Verdict, texts: Sequence[str], redactor: Redactor) -> dict[int, list[Edit]]:
    """What is to be redacted of each text, by its index."""
    if not verdict.redactions:
        return {}
    redactor.pass_over(texts, verdict.redactions)
    own: dict[int, list[Judged]] = {}
    for judged in verdict.redactions:
        own.setdefault(judged.segment, []).append(judged)
    return {index: redactor.edits(texts[index], own[index]) for index in sorted(own)}


def _run(wanted: Iterable[Check[Subject]], subjects: Sequence[tuple[int, Subject]]) -> list[Outcome]:
    return [check.run(subjects) for check in wanted]
