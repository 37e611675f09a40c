"""One step of a run: attempts within its timeout and the run's, retries as its policy says, every attempt
recorded."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from prometheus_client import Histogram
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential_jitter

from sluice_api.objects.pipeline import RetryReason, StepPolicy
from sluice_gateway.domain.outputs import Outputs, Passing
from sluice_gateway.domain.recording import Detail, Recorder
from sluice_gateway.domain.run import StepState
from sluice_servicekit import deadlines, tracing
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import DeadlineExceeded, Internal, ResourceExhausted, ServiceError, Unavailable

_SECONDS = Histogram(
    names.STEP_SECONDS,
    "Time of a step, all attempts",
    ("step", "state"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)

_LOG = logging.getLogger(__name__)

T = TypeVar("T")

_RETRY_CLASSES: dict[RetryReason, type[ServiceError]] = {
    RetryReason.UNAVAILABLE: Unavailable,
    RetryReason.DEADLINE_EXCEEDED: DeadlineExceeded,
    RetryReason.RESOURCE_EXHAUSTED: ResourceExhausted,
}


class StepFailedError(Exception):
    """A step has failed for good."""

    def __init__(self, step: str, error: ServiceError) -> None:
        super().__init__(f"{step}: {error.message}")
        self.step = step
        self.error = error


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """What a step gave, and what the journal is told of it."""

    result: T
    decision: str = ""
    reason: str = ""
    detail: Detail = field(default_factory=dict)


@dataclass(slots=True)
class Stepper:
    """Runs the steps of one run."""

    recorder: Recorder
    outputs: Outputs = field(default_factory=Passing)
    on_cancel: tuple[StepState, str] = (StepState.CANCELLED, "")
    """How a step that is cancelled ended, and why."""

    async def run(self, name: str, policy: StepPolicy, work: Callable[[], Awaitable[Done[T]]]) -> T:
        """The step's result; one that has finished before is not run again.

        Raises:
            StepFailedError: all attempts that the policy allows have failed, or time ran out.
        """
        return await self.outputs.once(name, lambda: self.run_unkept(name, policy, work))

    async def run_unkept(self, name: str, policy: StepPolicy, work: Callable[[], Awaitable[Done[T]]]) -> T:
        """The same where the result cannot be kept: an open stream."""
        started = time.perf_counter()
        state = StepState.FAILED
        try:
            async for attempt in self._attempts(policy):
                number = attempt.retry_state.attempt_number
                with attempt, tracing.span(names.SPAN_STEP, {names.STEP: name, names.ATTEMPT: number}):
                    done = await self._attempt(name, number, policy, work)
            state = StepState.SUCCEEDED
        except ServiceError as error:
            raise StepFailedError(name, error) from error
        except asyncio.CancelledError:
            state = self.on_cancel[0]
            raise
        finally:
            _SECONDS.labels(name, state).observe(time.perf_counter() - started)
        return done.result

    def _attempts(self, policy: StepPolicy) -> AsyncRetrying:
        retried = tuple(_RETRY_CLASSES[reason] for reason in policy.retry_on)

        def exhausted(state: RetryCallState) -> bool:
            left = deadlines.remaining()
            no_time = left is not None and left <= state.upcoming_sleep
            return state.attempt_number > policy.retries or no_time

        return AsyncRetrying(
            stop=exhausted,
            wait=wait_exponential_jitter(
                multiplier=policy.backoff, max=policy.max_backoff, jitter=policy.backoff / 2
            ),
            retry=retry_if_exception(lambda error: isinstance(error, retried)),
            reraise=True,
        )

    async def _attempt(
        self, name: str, number: int, policy: StepPolicy, work: Callable[[], Awaitable[Done[T]]]
    ) -> Done[T]:
        self.recorder.step_started(name, number)
        try:
            with deadlines.limit(policy.timeout):
                async with asyncio.timeout(deadlines.remaining()):
                    done = await work()
        except asyncio.CancelledError:
            state, reason = self.on_cancel
            self.recorder.step_ended(name, number, state, reason=reason)
            raise
        except TimeoutError as error:
            late = DeadlineExceeded(f"{name} did not end within {policy.timeout:g} s")
            self.recorder.step_ended(name, number, StepState.FAILED, reason=late.reason)
            raise late from error
        except ServiceError as error:
            self.recorder.step_ended(name, number, StepState.FAILED, reason=error.reason)
            raise
        except Exception as error:
            _LOG.exception("the step %s failed unexpectedly", name)
            self.recorder.step_ended(name, number, StepState.FAILED, reason=Internal.default_reason)
            raise Internal(f"{name} failed unexpectedly: {type(error).__name__}") from error
        self.recorder.step_ended(
            name, number, StepState.SUCCEEDED, decision=done.decision, reason=done.reason, detail=done.detail
        )
        return done
