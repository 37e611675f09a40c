"""Answers that leave while they are written: sentence by sentence after screening, or at once."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from sluice_api.objects.guardrail_policy import StreamingMode
from sluice_api.objects.pipeline import PipelineSpec
from sluice_api.objects.steps import Generation
from sluice_gateway.domain import fallbacks
from sluice_gateway.domain.choices import recorded, screened_calls
from sluice_gateway.domain.gating import OUTPUT, Gates, strictest
from sluice_gateway.domain.model import (
    AnswerContext,
    Decision,
    Finish,
    Prepared,
    Released,
    RunRequest,
    Usage,
    Verdict,
    Writing,
)
from sluice_gateway.domain.pieces import Choice, Delta
from sluice_gateway.domain.ports import Guard, Prompt, Services
from sluice_gateway.domain.recording import finish_detail, verdict_detail
from sluice_gateway.domain.releasing import Spelling
from sluice_gateway.domain.results import written_choices
from sluice_gateway.domain.run import StepState
from sluice_gateway.domain.stepping import Done, StepFailedError, Stepper
from sluice_gateway.domain.tasks import in_background
from sluice_gateway.domain.written import Written
from sluice_servicekit import deadlines
from sluice_servicekit.errors import DeadlineExceeded, Internal, ServiceError


@dataclass(frozen=True, slots=True)
class Screened:
    """A streamed answer at its end."""

    text: str
    """What has left of the first answer."""
    finish: Finish
    verdict: Verdict
    left: tuple[Choice, ...]
    """What has left of each."""


def mode(policy: StreamingMode, request: RunRequest) -> StreamingMode:
    """When the answer to a request leaves. What has to be whole to be worth anything is withheld where it is screened:
    JSON, and several answers at once."""
    if not request.stream:
        return StreamingMode.WITHHOLD
    whole = request.answer_format.is_json or request.sampling.n > 1
    return StreamingMode.WITHHOLD if whole and policy is StreamingMode.WINDOW else policy


async def windowed(
    stepper: Stepper, services: Services, spec: PipelineSpec, prompt: Prompt, context: AnswerContext
) -> AsyncGenerator[str | Delta | Screened, None]:
    """Releases what the output gate has screened; its steps `generate` and `guard_output` run together. Calls of tools
    leave whole, behind the text."""
    written = Written()
    released: list[str] = []
    spelling = Spelling()
    stepper.recorder.step_started(OUTPUT, 1)
    last: Released | None = None
    try:
        # In the background, since the guard's call reads the deltas from a task of its own.
        async with in_background(_deltas(stepper, services, spec, prompt, written)) as deltas:
            screening = _screened(services.guard, context, deltas, written, spelling)
            async with aclosing(screening):
                async for last in screening:
                    if last.text:
                        released.append(last.text)
                        for piece in spelling.leave(last.text):
                            yield piece
        finish, on_calls = written.finish, None
        if last is not None and last.verdict.decision is not Decision.BLOCK:
            known = context.as_read(finish.prepared)
            finish, on_calls = await screened_calls(services.guard, known, finish)
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
    verdict = last.verdict if on_calls is None else strictest([last.verdict, on_calls])
    stepper.recorder.step_ended(
        OUTPUT,
        1,
        StepState.SUCCEEDED,
        decision=verdict.decision,
        reason=verdict.reason,
        detail=verdict_detail(verdict),
    )
    text = "".join(released)
    yield Screened(text, finish, verdict, (Choice(text),))


class _FewerReadError(Exception):
    """The engine reads fewer passages than the output gate has been told of."""


async def _screened(
    guard: Guard,
    context: AnswerContext,
    deltas: AsyncIterator[str | Delta],
    written: Written,
    spelling: Spelling,
) -> AsyncGenerator[Released, None]:
    """What the output gate says. It is told of the passages while the engine still reads them; where that has no room
    for all, it is told anew before the first piece."""
    begun: list[str | Delta] = []
    texts = _texts(_unless_fewer(deltas, written, begun), spelling)
    try:
        async with aclosing(guard.check_output_stream(context, texts)) as screening:
            async for released in screening:
                if not begun:  # what is still said of nothing is not meant
                    yield released
    except _FewerReadError:
        texts = _texts(_going_on(begun, deltas), spelling)
        known = context.as_read(written.prepared)
        async with aclosing(guard.check_output_stream(known, texts)) as screening:
            async for released in screening:
                yield released


async def _unless_fewer(
    deltas: AsyncIterator[str | Delta], written: Written, begun: list[str | Delta]
) -> AsyncIterator[str | Delta]:
    """The deltas; stops at the first one, and keeps it in `begun`, where the engine reads fewer passages."""
    async for delta in deltas:
        if written.prepared is not None:
            begun.append(delta)
            raise _FewerReadError
        yield delta


async def _going_on(
    begun: Sequence[str | Delta], deltas: AsyncIterator[str | Delta]
) -> AsyncIterator[str | Delta]:
    for delta in begun:
        yield delta
    async for delta in deltas:
        yield delta


async def _texts(deltas: AsyncIterator[str | Delta], spelling: Spelling) -> AsyncIterator[str]:
    """What the output gate reads while it is written."""
    async for delta in deltas:
        if isinstance(delta, str):
            yield delta
            continue
        spelling.hear(delta)
        if delta.text:
            yield delta.text


async def detected(
    stepper: Stepper,
    services: Services,
    spec: PipelineSpec,
    prompt: Prompt,
    context: AnswerContext,
    gates: Gates,
) -> AsyncGenerator[str | Delta | Screened, None]:
    """Releases at once; the output gate's verdict on the whole is only recorded."""
    written = Written()
    async with aclosing(_deltas(stepper, services, spec, prompt, written)) as deltas:
        async for delta in deltas:
            yield delta
    text, finish = written.text, written.finish
    verdict = await recorded(gates, context.as_read(finish.prepared), text, finish)
    yield Screened(text, finish, verdict, written_choices(text, finish))


async def _deltas(
    stepper: Stepper, services: Services, spec: PipelineSpec, prompt: Prompt, written: Written
) -> AsyncGenerator[str | Delta, None]:
    """The answer's pieces as the step `generate`: retried, and gone on with by a fallback, up to the first piece, never
    after it."""
    started = 0.0

    async def first(step: Generation) -> Done[tuple[AsyncGenerator[Writing, None], Writing]]:
        events = services.generator.generate(replace(prompt, step=step))
        event, written.prepared = await anext(events), None
        if isinstance(event, Prepared):
            written.take(event)
            event = await anext(events)
        return Done((events, event), detail={"first": True})

    async def begin(name: str, step: Generation) -> tuple[AsyncGenerator[Writing, None], Writing]:
        nonlocal started
        started = time.monotonic()
        return await stepper.run_unkept(name, step, lambda: first(step))

    by = await fallbacks.written(spec.steps, begin)
    name, step, (events, event) = by.name, by.step, by.result
    stepper.recorder.step_started(name, 1)
    left = deadlines.cap(step.timeout)
    if step.deadline is not None:
        left = min(left or 0.0, max(0.0, step.deadline - (time.monotonic() - started)))
    ends = None if left is None else asyncio.get_running_loop().time() + left
    try:
        # Closed at once where nobody reads on, so that the engine stops.
        async with aclosing(events):
            while not isinstance(event, Finish):
                written.take(event)
                if not isinstance(event, Usage | Prepared):
                    yield event
                # Around the wait alone: a timeout around a `yield` would cancel whoever reads.
                async with asyncio.timeout_at(ends):
                    event = await anext(events)
            written.take(replace(event, degraded=by.degraded))
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
    detail = finish_detail(written.finish)
    stepper.recorder.step_ended(name, 1, StepState.SUCCEEDED, detail=detail)
