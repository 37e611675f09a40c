"""One run of the Express executor: in process, every step journalled.

guard_input ∥ retrieve → rerank → guard_passages → generate → guard_output, or
guard_input → rewrite → retrieve → … where an engine rewrites the question, or
guard_input → retrieve → … where a server embeds it or looks for its words, or the gate may replace it

Where `rounds` says so, `evidence` follows `rerank`, and further rounds of both where it is thin. Where retrieval fails
and that is caught: guard_input ∥ retrieve → generate → guard_output.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager, aclosing, suppress
from dataclasses import replace

from sluice_api.objects.guardrail_policy import StreamingMode
from sluice_gateway.domain import releasing, streaming
from sluice_gateway.domain.budgets import Budgets
from sluice_gateway.domain.caching.looking import RunCache
from sluice_gateway.domain.caching.serving import GivenAgain, Serving
from sluice_gateway.domain.choices import screened_answer
from sluice_gateway.domain.gating import INPUT, OUTPUT, PASSAGES, Gates
from sluice_gateway.domain.metering import Meter, Metered
from sluice_gateway.domain.model import (
    AnswerContext,
    Decision,
    Finish,
    Passage,
    ScreenedInput,
    Usage,
    Verdict,
    read,
)
from sluice_gateway.domain.observing import EndedRun, RunObserver, groundedness
from sluice_gateway.domain.outcome import (
    RUNS,
    AnswerChoice,
    BlockedError,
    CacheUse,
    Flag,
    RunFailedError,
    RunResult,
    flags,
)
from sluice_gateway.domain.pieces import Delta
from sluice_gateway.domain.planning import Execution, RunPlan
from sluice_gateway.domain.ports import Prompt, Services
from sluice_gateway.domain.recording import Recorder, usage_detail
from sluice_gateway.domain.results import answer_choice, fault, said, written_choices
from sluice_gateway.domain.rounds import Rounds
from sluice_gateway.domain.run import RunState, StepState
from sluice_gateway.domain.stepping import StepFailedError, Stepper
from sluice_gateway.domain.steps import Steps, reasons
from sluice_gateway.domain.tasks import in_own_task
from sluice_servicekit import context, deadlines, tracing
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import Internal, ServiceError

_LOG = logging.getLogger(__name__)


class Run:
    """One run. `events()` may be read once."""

    def __init__(
        self,
        counting: AbstractContextManager[None],
        services: Services,
        recorder: Recorder,
        plan: RunPlan,
        observers: Sequence[RunObserver] = (),
        budgets: Budgets | None = None,
        execution: Execution | None = None,
        cache: RunCache | None = None,
    ) -> None:
        """`counting`: entered while the run goes on; `budgets`: the gateway's."""
        execution = execution or Execution()
        pipeline, guarding, request = plan.pipeline, plan.guarding, plan.request
        self.run_id = recorder.run_id
        self.assignment = plan.assignment
        self.adapter = plan.adapter
        self._counting = counting
        self._meter = Meter()
        self._services = replace(services, generator=Metered(services.generator, self._meter))
        self._recorder = recorder
        self._pipeline = pipeline
        self._spec = pipeline.spec
        self._streaming = streaming.mode(guarding.streaming, request)
        self._canary = guarding.canary
        self._request = request
        self._stepper = Stepper(recorder, execution.outputs, budgets=budgets or Budgets())
        self._gates = Gates(
            self._stepper,
            services.guard,
            pipeline.spec,
            request.principal,
            recorder.run_id,
            execution.pins,
        )
        self._detail = execution.detail
        self._steps = Steps(
            self._stepper, self._services, pipeline.spec, self._gates, request, guarding.retrieval_waits
        )
        self._serving = Serving(recorder, self._steps, cache, pipeline.version)
        self._observers = observers
        self._started = time.perf_counter()
        self._usage = Usage()
        self._blocked_at = ""
        self._degraded = ""
        self._flags: tuple[Flag, ...] = ()
        self._ended = False
        self._groundedness: float | None = None
        self._screened: ScreenedInput

    @property
    def cache(self) -> CacheUse | None:
        """What the cache had to do with it, once there is something to send; None where the pipeline has none."""
        return self._serving.use

    def events(self) -> AsyncGenerator[str | Delta | RunResult, None]:
        """What is released, piece by piece, then the result. Text of the first answer comes as `str`.

        Raises:
            RunFailedError: the run has failed, and the journal says so.
        """
        return in_own_task(self._bound())

    async def result(self) -> RunResult:
        """Runs to the end and gives the result; raises as `events` does."""
        results = [event async for event in self.events() if isinstance(event, RunResult)]
        return results[-1]

    def abandon(self) -> None:
        """Says no more of the run, however it is stopped: it goes on elsewhere, or has been ended there."""
        self._ended = True
        self._stepper.on_cancel = (StepState.CANCELLED, "INTERRUPTED")

    async def _bound(self) -> AsyncGenerator[str | Delta | RunResult, None]:
        attributes = {names.RUN_ID: self.run_id, names.PIPELINE: self._request.pipeline}
        with (
            self._counting,
            context.bound(self.run_id, self._request.principal.tenant),
            deadlines.limit(self._spec.timeout),
            tracing.span(names.SPAN_RUN, attributes),
        ):
            async with aclosing(self._guarded()) as events:
                async for event in events:
                    yield event

    async def _guarded(self) -> AsyncGenerator[str | Delta | RunResult, None]:
        """Maps every way a run can end to its state."""
        try:
            self._recorder.run_started(self._request.question, self._started_detail())
            async with aclosing(self._answering()) as events:
                async for event in events:
                    yield event
        except BlockedError as blocked:
            yield await self._blocked(blocked)
        except StepFailedError as failed:
            await self._end(RunState.FAILED, f"{failed.step}: {failed.error.reason}")
            raise RunFailedError(self.run_id, failed.step, failed.error) from failed
        except ServiceError as error:  # the journal itself
            if not self._ended:
                self._tell(RunState.FAILED, f"journal: {error.reason}")
            raise RunFailedError(self.run_id, "journal", error) from error
        except (asyncio.CancelledError, GeneratorExit):
            self._cancelled()
            raise
        except Exception as error:  # a fault of ours: the run ends all the same
            _LOG.exception("a run failed unexpectedly")
            await self._end(RunState.FAILED, f"run: {Internal.default_reason}")
            unexpected = Internal("the run failed unexpectedly; the gateway's log has the details")
            raise RunFailedError(self.run_id, "run", unexpected) from error

    async def _answering(self) -> AsyncGenerator[str | Delta | RunResult, None]:
        retrieved = await self._serving.begin()
        if isinstance(retrieved, GivenAgain):
            result = await self._given_again(retrieved)
            for piece in releasing.pieces(result):
                yield piece
            yield result
            return
        self._screened = retrieved.screened
        self._flags = flags(INPUT, retrieved.screened.verdict)
        ranked, unranked = await self._steps.rerank(retrieved)
        ranked, later = await Rounds(self._steps, retrieved, self._started).run(ranked)
        self._degraded = reasons(retrieved.degraded, unranked, later)
        passages = await self._readable(ranked)
        prompt = Prompt(
            self._request.principal,
            self._spec.steps.generate,
            retrieved.request.messages,
            passages,
            retrieved.vectors,
            self._request.sampling,
            self._canary,
            retrieved.request.tools,
            self._request.answer_format,
            self._steps.priority,
        )
        answered = AnswerContext(
            self._spec.guardrail_policy_ref,
            self._request.principal,
            self.run_id,
            retrieved.request.question,
            passages,
            retrieved.screened.vault,
            (self._canary,) if self._canary else (),
            self._request.answer_format.form,
            tool_results=retrieved.request.tool_results,
        )
        if self._streaming is StreamingMode.WITHHOLD:
            text, finish = await self._steps.generate(prompt)
            output = await screened_answer(self._gates, answered.as_read(finish.prepared), text, finish)
            self._degraded = reasons(self._degraded, output.withheld)
            result = await self._answered(output.text, output.finish, output.verdict, passages)
            for piece in releasing.pieces(result):
                yield piece
            yield result
            return
        async with aclosing(self._streamed(prompt, answered)) as events:
            async for event in events:
                if not isinstance(event, streaming.Screened):
                    yield event
                    continue
                if event.verdict.decision is Decision.BLOCK and self._streaming is StreamingMode.WINDOW:
                    raise BlockedError(OUTPUT, event.verdict)
                result = await self._answered(event.text, event.finish, event.verdict, passages)
                for piece in releasing.rest(result, event.left):
                    yield piece
                yield result

    async def _readable(self, ranked: Sequence[Passage]) -> Sequence[Passage]:
        """The passages that the model may read."""
        screened, withheld = await self._gates.passages(ranked)
        self._degraded = reasons(self._degraded, withheld)
        if screened is None:
            return ranked
        self._flags += flags(PASSAGES, screened.verdict, withholds=True)
        return screened.passages

    def _streamed(
        self, prompt: Prompt, answered: AnswerContext
    ) -> AsyncGenerator[str | Delta | streaming.Screened, None]:
        if self._streaming is StreamingMode.WINDOW:
            return streaming.windowed(self._stepper, self._services, self._spec, prompt, answered)
        return streaming.detected(self._stepper, self._services, self._spec, prompt, answered, self._gates)

    async def _answered(
        self, text: str, finish: Finish, verdict: Verdict, passages: Sequence[Passage]
    ) -> RunResult:
        self._usage = finish.usage
        if not finish.unanswerable:  # what says that there is no answer claims nothing
            self._groundedness = groundedness(verdict)
        experiment, arm = self._arm
        answer_format = self._request.answer_format
        sourced = self._spec.steps.generate.sources and not answer_format.is_json
        choices, passages = written_choices(text, finish), read(passages, finish.prepared)
        first, *others = (answer_choice(choice, passages, sourced=sourced) for choice in choices)
        if finish.unanswerable:
            first = answer_choice(choices[0], (), sourced=False)
        wrong = "" if finish.unanswerable else fault(answer_format, choices)
        self._degraded = reasons(self._degraded, finish.degraded, wrong and f"generate: {wrong}")
        state = RunState.DEGRADED if self._degraded else RunState.ANSWERED
        await self._end(state, self._degraded, said((first, *others)))
        result = RunResult(
            self.run_id,
            state,
            first.text,
            first.finish_reason,
            first.citations,
            finish.usage,
            verdict,
            finish.model,
            finish.unanswerable,
            self._flags + flags(OUTPUT, verdict),
            experiment=experiment,
            arm=arm,
            adapter=self.adapter.model_name if self.adapter else "",
            tool_calls=first.tool_calls,
            logprobs=first.logprobs,
            others=tuple(others),
            system_fingerprint=finish.system_fingerprint,
            fault=wrong,
            refused=finish.unanswerable
            and answer_format.is_json
            and self._streaming is StreamingMode.WITHHOLD,
        )
        return self._serving.keep(result, self._screened, self._canary)

    async def _given_again(self, given: GivenAgain) -> RunResult:
        """An answer of another run as this one's; what the input gate says now is in the place of what it said then."""
        later = tuple(flag for flag in given.result.flags if flag.step != INPUT)
        await self._end(RunState.ANSWERED, "", given.result.text)
        return replace(
            given.result,
            run_id=self.run_id,
            flags=flags(INPUT, given.screened.verdict) + later,
            cache=given.use,
        )

    async def _blocked(self, blocked: BlockedError) -> RunResult:
        verdict = blocked.verdict
        self._blocked_at = blocked.step
        if blocked.step == OUTPUT:
            self._groundedness = groundedness(verdict)
        flagged = self._flags + flags(blocked.step, verdict)
        await self._end(RunState.BLOCKED, verdict.reason)
        experiment, arm = self._arm
        refusal = AnswerChoice(verdict.message, "content_filter")
        return RunResult(
            self.run_id,
            RunState.BLOCKED,
            refusal.text,
            refusal.finish_reason,
            usage=self._used,
            verdict=verdict,
            flags=flagged,
            experiment=experiment,
            arm=arm,
            adapter=self.adapter.model_name if self.adapter else "",
            others=(refusal,) * (self._request.sampling.n - 1),
            cache=self._serving.use,
        )

    def _started_detail(self) -> dict[str, object]:
        detail: dict[str, object] = {"pipeline_version": self._pipeline.version, **self._detail}
        if self.assignment is not None:
            detail["experiment"] = self.assignment.detail()
        if self.adapter is not None:
            detail["adapter"] = self.adapter.detail()
        if self._request.principal.key:
            detail["key"] = self._request.principal.key
        return detail

    @property
    def _arm(self) -> tuple[str, str]:
        assigned = self.assignment
        return ("", "") if assigned is None else (assigned.experiment, assigned.arm)

    async def _end(self, state: RunState, reason: str, text: str = "") -> None:
        self._ended = True
        told = state, reason
        try:
            self._recorder.run_ended(state, reason, text, detail=usage_detail(self._used))
            await self._recorder.commit()
        except ServiceError as error:  # nobody gets the answer
            told = RunState.FAILED, f"journal: {error.reason}"
            raise
        finally:
            self._tell(*told)

    def _cancelled(self) -> None:
        if self._ended:  # the caller only stopped reading
            return
        reason = "the caller went away"
        self._tell(RunState.CANCELLED, reason)
        with suppress(ServiceError):
            # Appended, not awaited: the caller is gone, and a cancelled task must not wait.
            self._recorder.run_ended(RunState.CANCELLED, reason, detail=usage_detail(self._used))
        _LOG.info("the caller went away")

    @property
    def _used(self) -> Usage:
        """Up to now, however the run goes on; what a kept answer had used, where this run has asked no engine."""
        return self._meter.usage if self._meter.used else self._usage

    def _tell(self, state: RunState, reason: str) -> None:
        RUNS.labels(self._request.pipeline, state).inc()
        assigned = self.assignment
        experiment, arm = self._arm
        ended = EndedRun(
            self.run_id,
            self._request.principal,
            self._request.pipeline,
            self._pipeline.version,
            state,
            reason,
            time.perf_counter() - self._started,
            self._used,
            blocked_at=self._blocked_at,
            experiment=experiment,
            arm=arm,
            groundedness=self._groundedness,
            model_name=assigned.model_name if assigned else "",
            unit_bucket=assigned.bucket if assigned else 0,
            counted=assigned is None or assigned.counted,
            cache=self.cache.word if self.cache else "",
        )
        for observer in self._observers:
            observer.run_ended(ended)
