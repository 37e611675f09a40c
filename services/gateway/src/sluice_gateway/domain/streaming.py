"""Answers that leave while they are written: sentence by sentence after screening, or at once."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from sluice_api.objects.pipeline import Generation, PipelineSpec
from sluice_gateway.domain import fallbacks
from sluice_gateway.domain.gating import OUTPUT, Gates
from sluice_gateway.domain.model import AnswerContext, Finish, Released, Verdict
from sluice_gateway.domain.ports import Prompt, Services
from sluice_gateway.domain.recording import verdict_detail
from sluice_gateway.domain.run import StepState
from sluice_gateway.domain.stepping import Done, StepFailedError, Stepper
from sluice_gateway.domain.tasks import in_background
from sluice_servicekit import deadlines
from sluice_servicekit.errors import DeadlineExceeded, Internal, ServiceError


@dataclass(frozen=True, slots=True)
class Screened:
    """A streamed answer at its end."""

    text: str
    """What has left."""
    finish: Finish
    verdict: Verdict


@dataclass(slots=True)
class _Written:
    """What has been written so far."""

    pieces: list[str] = field(default_factory=list)
    finish: Finish | None = None


async def windowed(
    stepper: Stepper, services: Services, spec: PipelineSpec, prompt: Prompt, context: AnswerContext
) -> AsyncGenerator[str | Screened, None]:
    """Releases what the output gate has screened; its steps `generate` and `guard_output` run together."""
    written = _Written()
    released: list[str] = []
    stepper.recorder.step_started(OUTPUT, 1)
    last: Released | None = None
    try:
        # In the background, since the guard's call reads the deltas from a task of its own.
        async with in_background(_deltas(stepper, services, spec, prompt, written)) as deltas:
            screening = services.guard.check_output_stream(context, deltas)
            async with aclosing(screening):
                async for last in screening:
                    if last.text:
                        released.append(last.text)
                        yield last.text
    except ServiceError as error:
        stepper.recorder.step_ended(OUTPUT, 1, StepState.FAILED, reason=error.reason)
        raise StepFailedError(OUTPUT, error) from error
    except StepFailedError:
        stepper.recorder.step_ended(OUTPUT, 1, StepState.SKIPPED, reason="GENERATE_FAILED")
        raise
    except (asyncio.CancelledError, GeneratorExit):
        stepper.recorder.step_ended(OUTPUT, 1, StepState.CANCELLED)
        raise
    if last is None or not last.final:
        silent = Internal("the output gate ended without a verdict", reason="NO_VERDICT")
        stepper.recorder.step_ended(OUTPUT, 1, StepState.FAILED, reason=silent.reason)
        raise StepFailedError(OUTPUT, silent)
    verdict = last.verdict
    stepper.recorder.step_ended(
        OUTPUT,
        1,
        StepState.SUCCEEDED,
        decision=verdict.decision,
        reason=verdict.reason,
        detail=verdict_detail(verdict),
    )
    yield Screened("".join(released), written.finish or Finish("stop"), verdict)


async def detected(
    stepper: Stepper,
    services: Services,
    spec: PipelineSpec,
    prompt: Prompt,
    context: AnswerContext,
    gates: Gates,
) -> AsyncGenerator[str | Screened, None]:
    """Releases at once; the output gate's verdict on the whole is only recorded."""
    written = _Written()
    async with aclosing(_deltas(stepper, services, spec, prompt, written)) as deltas:
        async for delta in deltas:
            yield delta
    text = "".join(written.pieces)
    screened = await gates.output(context, text, acts=False)
    yield Screened(text, written.finish or Finish("stop"), screened.verdict)


async def _deltas(
    stepper: Stepper, services: Services, spec: PipelineSpec, prompt: Prompt, written: _Written
) -> AsyncGenerator[str, None]:
    """The answer's pieces as the step `generate`: retried, and gone on with by a fallback, up to the first piece, never
    after it."""
    started = 0.0

    async def first(step: Generation) -> Done[tuple[AsyncGenerator[str | Finish, None], str | Finish]]:
        events = services.generator.generate(replace(prompt, step=step))
        return Done((events, await anext(events)), detail={"first": True})

    async def begin(name: str, step: Generation) -> tuple[AsyncGenerator[str | Finish, None], str | Finish]:
        nonlocal started
        started = time.monotonic()
        return await stepper.run_unkept(name, step, lambda: first(step))

    by = await fallbacks.written(spec.steps, begin)
    name, step, (events, event) = by.name, by.step, by.result
    stepper.recorder.step_started(name, 1)
    left = deadlines.cap(step.timeout)
    if step.deadline is not None:
        left = min(left or 0.0, max(0.0, step.deadline - (time.monotonic() - started)))
    try:
        async with asyncio.timeout(left):
            while True:
                if isinstance(event, Finish):
                    written.finish = replace(event, degraded=by.degraded)
                    break
                written.pieces.append(event)
                yield event
                event = await anext(events)
    except TimeoutError as error:
        late = DeadlineExceeded(f"{name} did not end within {left or 0.0:.3g} s")
        stepper.recorder.step_ended(name, 1, StepState.FAILED, reason=late.reason)
        raise StepFailedError(name, late) from error
    except ServiceError as error:
        stepper.recorder.step_ended(name, 1, StepState.FAILED, reason=error.reason)
        raise StepFailedError(name, error) from error
    except (asyncio.CancelledError, GeneratorExit):
        stepper.recorder.step_ended(name, 1, StepState.CANCELLED)
        raise
    finish = written.finish
    detail = {"model": finish.model, "finish_reason": finish.reason, "unanswerable": finish.unanswerable}
    stepper.recorder.step_ended(name, 1, StepState.SUCCEEDED, detail=detail)
