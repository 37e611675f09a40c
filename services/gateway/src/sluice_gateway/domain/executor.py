"""The Express executor: a run in process, every step journalled.

guard_input ∥ retrieve → rerank → generate → guard_output, or
guard_input → rewrite → retrieve → … where an engine rewrites the question, or
guard_input → retrieve → … where a server embeds it or looks for its words
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress

from prometheus_client import Gauge

from sluice_api.objects.guardrail_policy import StreamingMode
from sluice_api.objects.pipeline import Audit
from sluice_api.snapshot import CompiledPipeline, Snapshot
from sluice_gateway.domain.answer import citations, sources
from sluice_gateway.domain.asking import asked
from sluice_gateway.domain.clock import Clock
from sluice_gateway.domain.model import (
    Decision,
    Finish,
    Passage,
    Principal,
    RunRequest,
    Verdict,
)
from sluice_gateway.domain.outcome import ADMIT, RUNS, BlockedError, Flag, RunFailedError, RunResult, flags
from sluice_gateway.domain.ports import Prompt, Services
from sluice_gateway.domain.recording import Recorder
from sluice_gateway.domain.run import RunState, StepState
from sluice_gateway.domain.stepping import StepFailedError, Stepper
from sluice_gateway.domain.steps import Steps
from sluice_gateway.domain.streaming import detected, windowed
from sluice_gateway.domain.tasks import in_own_task
from sluice_gateway.journal.port import Journal
from sluice_servicekit import context, deadlines, tracing
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import Internal, InvalidArgument, NotFound, ResourceExhausted, ServiceError

_LOG = logging.getLogger(__name__)

_IN_FLIGHT = Gauge(names.RUNS_IN_FLIGHT, "Runs that are going on")


class Executor:
    """Runs questions through their pipelines.

    Args:
        snapshot: Gives the snapshot in force.
        new_run_id: Gives a new, time-ordered id.
        max_in_flight: Runs at the same time; more are refused at once.
    """

    def __init__(
        self,
        services: Services,
        journal: Journal,
        clock: Clock,
        snapshot: Callable[[], Snapshot],
        new_run_id: Callable[[], str],
        max_in_flight: int,
    ) -> None:
        self._services = services
        self._journal = journal
        self._clock = clock
        self._snapshot = snapshot
        self._new_run_id = new_run_id
        self._max_in_flight = max_in_flight
        self._in_flight = 0

    def admit(self, request: RunRequest) -> "Run":
        """A run that may start.

        Raises:
            Unavailable: no snapshot has arrived yet.
            NotFound: there is no such pipeline (`MODEL_NOT_FOUND`).
            InvalidArgument: no user message asks anything.
            ResourceExhausted: too many runs are going on.
        """
        snapshot = self._snapshot()
        pipeline = snapshot.pipelines.get(request.pipeline)
        if pipeline is None:
            known = ", ".join(sorted(snapshot.pipelines)) or "none"
            raise NotFound(
                f"there is no model {request.pipeline!r}; there is: {known}", reason="MODEL_NOT_FOUND"
            )
        if not request.question.strip():
            raise InvalidArgument("the messages hold no question from the user", field="messages")
        if self._in_flight >= self._max_in_flight:
            raise ResourceExhausted("too many runs are going on", reason="TOO_MANY_RUNS", retry_after=1.0)
        policy = snapshot.guardrail_policies[pipeline.spec.guardrail_policy_ref].spec
        recorder = Recorder(
            self._journal,
            self._clock,
            self._new_run_id(),
            request.principal.tenant,
            request.pipeline,
            pipeline.spec.audit,
        )
        leaves = snapshot.leaves_the_machine(pipeline.spec)
        return Run(
            self, self._services, recorder, pipeline, policy.streaming, request, leaves_the_machine=leaves
        )

    async def refuse(self, principal: Principal, pipeline: str, error: ServiceError) -> RunFailedError:
        """A question that was not admitted, as a failed run of the one step `admit`."""
        named = ""  # for a name that is no pipeline's: the journal holds no free text
        with suppress(ServiceError):
            named = pipeline if pipeline in self._snapshot().pipelines else ""
        recorder = Recorder(
            self._journal, self._clock, self._new_run_id(), principal.tenant, named, Audit.BEST_EFFORT
        )
        recorder.run_started("", {})
        recorder.step_started(ADMIT, 1)
        recorder.step_ended(ADMIT, 1, StepState.FAILED, reason=error.reason)
        recorder.run_ended(RunState.FAILED, f"{ADMIT}: {error.reason}")
        RUNS.labels(named, RunState.FAILED).inc()
        if not isinstance(error, ResourceExhausted):  # who sheds load does not wait
            with suppress(ServiceError):
                await self._journal.commit()
        return RunFailedError(recorder.run_id, ADMIT, error)

    def enter(self) -> None:
        """Counts a run that starts."""
        self._in_flight += 1
        _IN_FLIGHT.inc()

    def leave(self) -> None:
        """Counts a run that has ended."""
        self._in_flight -= 1
        _IN_FLIGHT.dec()


class Run:
    """One run. `events()` may be read once."""

    def __init__(
        self,
        executor: Executor,
        services: Services,
        recorder: Recorder,
        pipeline: CompiledPipeline,
        streaming: StreamingMode,
        request: RunRequest,
        *,
        leaves_the_machine: bool,
    ) -> None:
        self.run_id = recorder.run_id
        self._executor = executor
        self._services = services
        self._recorder = recorder
        self._pipeline = pipeline
        self._spec = pipeline.spec
        self._streaming = streaming if request.stream else StreamingMode.WITHHOLD
        self._request = request
        self._stepper = Stepper(recorder)
        self._steps = Steps(
            self._stepper, services, pipeline.spec, request, asked(request.messages), leaves_the_machine
        )
        self._degraded = ""
        self._flags: tuple[Flag, ...] = ()
        self._ended = False

    def events(self) -> AsyncGenerator[str | RunResult, None]:
        """Pieces of text as they are released, then the result.

        Raises:
            RunFailedError: the run has failed, and the journal says so.
        """
        return in_own_task(self._bound())

    async def result(self) -> RunResult:
        """Runs to the end and gives the result; raises as `events` does."""
        results = [event async for event in self.events() if isinstance(event, RunResult)]
        return results[-1]

    async def _bound(self) -> AsyncGenerator[str | RunResult, None]:
        self._executor.enter()
        attributes = {names.RUN_ID: self.run_id, names.PIPELINE: self._request.pipeline}
        try:
            with (
                context.bound(self.run_id, self._request.principal.tenant),
                deadlines.limit(self._spec.timeout),
                tracing.span(names.SPAN_RUN, attributes),
            ):
                async with aclosing(self._guarded()) as events:
                    async for event in events:
                        yield event
        finally:
            self._executor.leave()

    async def _guarded(self) -> AsyncGenerator[str | RunResult, None]:
        """Maps every way a run can end to its state."""
        try:
            detail = {"pipeline_version": self._pipeline.version}
            self._recorder.run_started(self._request.question, detail)
            async with aclosing(self._answering()) as events:
                async for event in events:
                    yield event
        except BlockedError as blocked:
            yield await self._blocked(blocked)
        except StepFailedError as failed:
            await self._end(RunState.FAILED, f"{failed.step}: {failed.error.reason}")
            raise RunFailedError(self.run_id, failed.step, failed.error) from failed
        except ServiceError as error:  # the journal itself
            RUNS.labels(self._request.pipeline, RunState.FAILED).inc()
            raise RunFailedError(self.run_id, "journal", error) from error
        except (asyncio.CancelledError, GeneratorExit):
            self._cancelled()
            raise
        except Exception as error:  # a fault of ours: the run ends all the same
            _LOG.exception("a run failed unexpectedly")
            await self._end(RunState.FAILED, f"run: {Internal.default_reason}")
            unexpected = Internal("the run failed unexpectedly; the gateway's log has the details")
            raise RunFailedError(self.run_id, "run", unexpected) from error

    async def _answering(self) -> AsyncGenerator[str | RunResult, None]:
        retrieved = await self._steps.screen_and_retrieve()
        self._flags = flags("guard_input", retrieved.screened)
        passages, unranked = await self._steps.rerank(retrieved)
        self._degraded = "; ".join(reason for reason in (retrieved.degraded, unranked) if reason)
        prompt = Prompt(
            self._request.principal,
            self._spec.steps.generate,
            self._request.messages,
            passages,
            retrieved.vectors,
            self._request.sampling,
        )
        if self._streaming is StreamingMode.WITHHOLD:
            text, finish = await self._steps.generate(prompt)
            verdict = await self._steps.guard_output(text, passages)
            result = await self._answered(text, finish, verdict, passages)
            yield result.text
            yield result
            return
        stream = windowed if self._streaming is StreamingMode.WINDOW else detected
        released = stream(self._stepper, self._services, self._spec, prompt, self._request.question)
        async with aclosing(released) as events:
            async for event in events:
                if isinstance(event, str):
                    yield event
                    continue
                if event.verdict.decision is Decision.BLOCK and self._streaming is StreamingMode.WINDOW:
                    raise BlockedError("guard_output", event.verdict)
                result = await self._answered(event.text, event.finish, event.verdict, passages)
                if rest := result.text[len(event.text) :]:
                    yield rest
                yield result

    async def _answered(
        self, text: str, finish: Finish, verdict: Verdict, passages: Sequence[Passage]
    ) -> RunResult:
        cited = () if finish.unanswerable else citations(text, passages)
        whole = text + (sources(cited) if self._spec.steps.generate.sources else "")
        state = RunState.DEGRADED if self._degraded else RunState.ANSWERED
        await self._end(state, self._degraded, whole)
        return RunResult(
            self.run_id,
            state,
            whole,
            finish.reason,
            cited,
            finish.usage,
            verdict,
            finish.model,
            finish.unanswerable,
            self._flags + flags("guard_output", verdict),
        )

    async def _blocked(self, blocked: BlockedError) -> RunResult:
        verdict = blocked.verdict
        flagged = self._flags + flags(blocked.step, verdict)
        await self._end(RunState.BLOCKED, verdict.reason)
        return RunResult(
            self.run_id, RunState.BLOCKED, verdict.message, "content_filter", verdict=verdict, flags=flagged
        )

    async def _end(self, state: RunState, reason: str, text: str = "") -> None:
        self._ended = True
        self._recorder.run_ended(state, reason, text)
        RUNS.labels(self._request.pipeline, state).inc()
        await self._recorder.commit()

    def _cancelled(self) -> None:
        if self._ended:  # the caller only stopped reading
            return
        RUNS.labels(self._request.pipeline, RunState.CANCELLED).inc()
        with suppress(ServiceError):
            # Appended, not awaited: the caller is gone, and a cancelled task must not wait.
            self._recorder.run_ended(RunState.CANCELLED, "the caller went away")
        _LOG.info("the caller went away")
