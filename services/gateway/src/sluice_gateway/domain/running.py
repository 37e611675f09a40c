"""One run of the Express executor: in process, every step journalled.

guard_input ∥ retrieve → rerank → guard_passages → generate → guard_output, or
guard_input → rewrite → retrieve → … where an engine rewrites the question, or
guard_input → retrieve → … where a server embeds it or looks for its words, or the gate may replace it
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager, aclosing, suppress
from dataclasses import dataclass, replace

from sluice_api.objects.guardrail_policy import StreamingMode
from sluice_api.snapshot import CompiledPipeline
from sluice_gateway.domain import streaming
from sluice_gateway.domain.answer import citations, sources
from sluice_gateway.domain.caching.looking import RunCache
from sluice_gateway.domain.caching.serving import GivenAgain, Serving
from sluice_gateway.domain.gating import INPUT, OUTPUT, PASSAGES, Gates
from sluice_gateway.domain.model import (
    AnswerContext,
    Decision,
    Finish,
    Passage,
    RunRequest,
    ScreenedInput,
    Usage,
    Verdict,
)
from sluice_gateway.domain.observing import EndedRun, RunObserver
from sluice_gateway.domain.outcome import RUNS, BlockedError, CacheUse, Flag, RunFailedError, RunResult, flags
from sluice_gateway.domain.ports import Prompt, Services
from sluice_gateway.domain.recording import Recorder
from sluice_gateway.domain.run import RunState
from sluice_gateway.domain.stepping import StepFailedError, Stepper
from sluice_gateway.domain.steps import Steps, reasons
from sluice_gateway.domain.tasks import in_own_task
from sluice_servicekit import context, deadlines, tracing
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import Internal, ServiceError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Guarding:
    """How a run is guarded, by its policy and its knowledge bases."""

    streaming: StreamingMode
    retrieval_waits: bool
    """Nothing is looked for before the input gate has decided."""
    canary: str
    """A random word for the prompt; none when empty."""


class Run:
    """One run. `events()` may be read once."""

    def __init__(
        self,
        counting: AbstractContextManager[None],
        services: Services,
        recorder: Recorder,
        pipeline: CompiledPipeline,
        guarding: Guarding,
        request: RunRequest,
        observers: Sequence[RunObserver] = (),
        cache: RunCache | None = None,
    ) -> None:
        """`counting`: entered while the run goes on."""
        self.run_id = recorder.run_id
        self._counting = counting
        self._services = services
        self._recorder = recorder
        self._pipeline = pipeline
        self._spec = pipeline.spec
        self._streaming = guarding.streaming if request.stream else StreamingMode.WITHHOLD
        self._canary = guarding.canary
        self._request = request
        self._stepper = Stepper(recorder)
        self._gates = Gates(self._stepper, services.guard, pipeline.spec, request.principal, recorder.run_id)
        self._steps = Steps(
            self._stepper, services, pipeline.spec, self._gates, request, guarding.retrieval_waits
        )
        self._serving = Serving(recorder, self._steps, cache, pipeline.version)
        self._observers = observers
        self._started = time.perf_counter()
        self._usage = Usage()
        self._blocked_at = ""
        self._degraded = ""
        self._flags: tuple[Flag, ...] = ()
        self._ended = False
        self._screened: ScreenedInput

    @property
    def cache(self) -> CacheUse | None:
        """What the cache had to do with it, once there is something to send; None where the pipeline has none."""
        return self._serving.use

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

    async def _answering(self) -> AsyncGenerator[str | RunResult, None]:
        retrieved = await self._serving.begin()
        if isinstance(retrieved, GivenAgain):
            result = await self._given_again(retrieved)
            yield result.text
            yield result
            return
        self._screened = retrieved.screened
        self._flags = flags(INPUT, retrieved.screened.verdict)
        ranked, unranked = await self._steps.rerank(retrieved)
        self._degraded = reasons(retrieved.degraded, unranked)
        passages = await self._readable(ranked)
        prompt = Prompt(
            self._request.principal,
            self._spec.steps.generate,
            retrieved.request.messages,
            passages,
            retrieved.vectors,
            self._request.sampling,
            self._canary,
        )
        answered = AnswerContext(
            self._spec.guardrail_policy_ref,
            self._request.principal,
            self.run_id,
            retrieved.request.question,
            passages,
            retrieved.screened.vault,
            (self._canary,) if self._canary else (),
        )
        if self._streaming is StreamingMode.WITHHOLD:
            text, finish = await self._steps.generate(prompt)
            output = await self._gates.output(answered, text)
            result = await self._answered(output.text, finish, output.verdict, passages)
            yield result.text
            yield result
            return
        async with aclosing(self._streamed(prompt, answered)) as events:
            async for event in events:
                if isinstance(event, str):
                    yield event
                    continue
                if event.verdict.decision is Decision.BLOCK and self._streaming is StreamingMode.WINDOW:
                    raise BlockedError(OUTPUT, event.verdict)
                result = await self._answered(event.text, event.finish, event.verdict, passages)
                if rest := result.text[len(event.text) :]:
                    yield rest
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
    ) -> AsyncGenerator[str | streaming.Screened, None]:
        if self._streaming is StreamingMode.WINDOW:
            return streaming.windowed(self._stepper, self._services, self._spec, prompt, answered)
        return streaming.detected(self._stepper, self._services, self._spec, prompt, answered, self._gates)

    async def _answered(
        self, text: str, finish: Finish, verdict: Verdict, passages: Sequence[Passage]
    ) -> RunResult:
        self._usage = finish.usage
        cited = () if finish.unanswerable else citations(text, passages)
        whole = text + (sources(cited) if self._spec.steps.generate.sources else "")
        state = RunState.DEGRADED if self._degraded else RunState.ANSWERED
        await self._end(state, self._degraded, whole)
        result = RunResult(
            self.run_id,
            state,
            whole,
            finish.reason,
            cited,
            finish.usage,
            verdict,
            finish.model,
            finish.unanswerable,
            self._flags + flags(OUTPUT, verdict),
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
        flagged = self._flags + flags(blocked.step, verdict)
        await self._end(RunState.BLOCKED, verdict.reason)
        return RunResult(
            self.run_id,
            RunState.BLOCKED,
            verdict.message,
            "content_filter",
            verdict=verdict,
            flags=flagged,
            cache=self._serving.use,
        )

    async def _end(self, state: RunState, reason: str, text: str = "") -> None:
        self._ended = True
        self._recorder.run_ended(state, reason, text)
        self._tell(state, reason)
        await self._recorder.commit()

    def _cancelled(self) -> None:
        if self._ended:  # the caller only stopped reading
            return
        reason = "the caller went away"
        self._tell(RunState.CANCELLED, reason)
        with suppress(ServiceError):
            # Appended, not awaited: the caller is gone, and a cancelled task must not wait.
            self._recorder.run_ended(RunState.CANCELLED, reason)
        _LOG.info("the caller went away")

    def _tell(self, state: RunState, reason: str) -> None:
        RUNS.labels(self._request.pipeline, state).inc()
        ended = EndedRun(
            self.run_id,
            self._request.principal,
            self._request.pipeline,
            self._pipeline.version,
            state,
            reason,
            time.perf_counter() - self._started,
            self._usage,
            blocked_at=self._blocked_at,
            cache=self.cache.word if self.cache else "",
        )
        for observer in self._observers:
            observer.run_ended(ended)
