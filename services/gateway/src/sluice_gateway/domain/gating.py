"""The gates of a run: what goes in, what the model reads, what comes out."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sluice_api.objects.pipeline import PipelineSpec
from sluice_api.objects.steps import GuardStep
from sluice_gateway.domain import pinning
from sluice_gateway.domain.model import (
    AnswerContext,
    Decision,
    Message,
    Passage,
    Principal,
    ScreenedInput,
    ScreenedOutput,
    ScreenedPassages,
    Verdict,
)
from sluice_gateway.domain.outcome import BlockedError
from sluice_gateway.domain.ports import Guard
from sluice_gateway.domain.recording import passages_verdict_detail, verdict_detail
from sluice_gateway.domain.stepping import Done, Stepper
from sluice_gateway.domain.tools import NO_TOOLS, Tools
from sluice_servicekit import telemetry_names as names
from sluice_servicekit import tracing

Screened = TypeVar("Screened", ScreenedInput, ScreenedPassages, ScreenedOutput)

_STRICTNESS = list(Decision)

INPUT, PASSAGES, OUTPUT = "guard_input", "guard_passages", "guard_output"


@dataclass(frozen=True, slots=True)
class Gates:
    """The gates of one run. Each raises `BlockedError` where the run ends at it."""

    stepper: Stepper
    guard: Guard
    spec: PipelineSpec
    principal: Principal
    run_id: str
    pins: Mapping[str, Decision] = field(default_factory=dict)
    """Decisions that a person has made in the gates' place, by the gate's step."""

    async def input(self, messages: Sequence[Message], tools: Tools = NO_TOOLS) -> ScreenedInput:
        """What the caller sends."""

        async def work() -> Done[ScreenedInput]:
            pin = self.pins.get(INPUT)
            if pin is Decision.BLOCK:
                return _done(ScreenedInput(pinning.blocked(self._policy)))
            screened = await self.guard.check_input(
                self._policy, self.principal, self.run_id, messages, tools
            )
            return _done(screened if pin is None else pinning.allowed_input(screened))

        screened = await self._step(INPUT, self.spec.steps.guard_input, work)
        if screened.verdict.decision is Decision.BLOCK:
            raise BlockedError(INPUT, screened.verdict)
        return screened

    async def passages(self, passages: Sequence[Passage]) -> tuple[ScreenedPassages | None, str]:
        """The passages that the model may read, and why the run is degraded where some are withheld. A document that
        is blocked takes itself out of the answer, not the answer out of the run: that ends only where nothing is left.
        None where there was nothing to screen."""
        if not passages:
            return None, ""

        async def work() -> Done[ScreenedPassages]:
            pin = self.pins.get(PASSAGES)
            if pin is Decision.BLOCK:
                screened = ScreenedPassages(pinning.blocked(self._policy), ())
            else:
                screened = await self.guard.check_passages(self._policy, self.principal, passages)
                screened = screened if pin is None else pinning.allowed_passages(screened, passages)
            verdict = screened.verdict
            return Done(
                screened, str(verdict.decision), verdict.reason, detail=passages_verdict_detail(screened)
            )

        screened = await self._step(PASSAGES, self.spec.steps.guard_passages, work)
        verdict, withheld = screened.verdict, len(screened.withheld)
        if not screened.passages or (verdict.decision is Decision.BLOCK and not withheld):
            raise BlockedError(PASSAGES, verdict)
        return screened, f"{PASSAGES}: {verdict.reason} ({withheld} withheld)" if withheld else ""

    async def output(self, context: AnswerContext, text: str, *, acts: bool = True) -> ScreenedOutput:
        """What the model has written; where the text has left already, the verdict is only recorded."""

        async def work() -> Done[ScreenedOutput]:
            return _done(await self._output(context, text))

        screened = await self._step(OUTPUT, self.spec.steps.guard_output, work)
        if acts and screened.verdict.decision is Decision.BLOCK:
            raise BlockedError(OUTPUT, screened.verdict)
        return screened

    async def outputs(self, parts: Sequence[tuple[AnswerContext, str]]) -> Sequence[ScreenedOutput]:
        """What the model has written where it is more than one text: several answers, arguments of calls. One step, and
        no part ends the run: whoever asks decides. The journal holds the verdict on the part that is the worst."""

        async def work() -> Done[Sequence[ScreenedOutput]]:
            screened = [await self._output(context, text) for context, text in parts]
            worst = strictest([each.verdict for each in screened])
            detail = {**verdict_detail(worst), "texts": len(screened)}
            return Done(screened, str(worst.decision), worst.reason, detail)

        with tracing.span(names.SPAN_GUARD, {names.POLICY: self._policy}):
            return await self.stepper.run(OUTPUT, self.spec.steps.guard_output, work)

    async def _output(self, context: AnswerContext, text: str) -> ScreenedOutput:
        pin = self.pins.get(OUTPUT)
        if pin is Decision.BLOCK:
            return ScreenedOutput(pinning.blocked(self._policy), "")
        screened = await self.guard.check_output(context, text)
        return screened if pin is None else pinning.allowed_output(screened, text)

    @property
    def _policy(self) -> str:
        return self.spec.guardrail_policy_ref

    async def _step(
        self, name: str, step: GuardStep, work: Callable[[], Awaitable[Done[Screened]]]
    ) -> Screened:
        async def traced() -> Done[Screened]:
            with tracing.span(names.SPAN_GUARD, {names.POLICY: self._policy}):
                return await work()

        return await self.stepper.run(name, step, traced)


def strictest(verdicts: Sequence[Verdict]) -> Verdict:
    """The one that speaks for all, the first of equals."""
    return max(verdicts, key=lambda verdict: _STRICTNESS.index(verdict.decision))


def _done(screened: Screened) -> Done[Screened]:
    verdict = screened.verdict
    return Done(screened, str(verdict.decision), verdict.reason, verdict_detail(verdict))
