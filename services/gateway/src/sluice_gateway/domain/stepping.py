"""One step of a run: attempts within its timeout, its deadline and the run's, retries and hedges as its policy and the
gateway's budgets say, every attempt recorded."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from prometheus_client import Counter, Histogram

from sluice_api.objects.steps import (
    Generation,
    RerankStep,
    RetrieveStep,
    RetryReason,
    RewriteStep,
    StepPolicy,
)
from sluice_gateway.domain.budgets import Budgets
from sluice_gateway.domain.hedging import hedged
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
_FURTHER = Counter(
    names.STEP_FURTHER_ATTEMPTS, "Retries and hedges, made or not for want of budget", ("step", "what")
)

_LOG = logging.getLogger(__name__)

T = TypeVar("T")

_RETRY_CLASSES: dict[RetryReason, type[ServiceError]] = {
    RetryReason.UNAVAILABLE: Unavailable,
    RetryReason.DEADLINE_EXCEEDED: DeadlineExceeded,
    RetryReason.RESOURCE_EXHAUSTED: ResourceExhausted,
}
_PASSING = tuple(_RETRY_CLASSES.values())
"""Failures that another attempt, elsewhere or later, may not meet."""

NO_TIME_LEFT = "NO_TIME_LEFT"
BUDGET_EXHAUSTED = "RETRY_BUDGET_EXHAUSTED"
HEDGE_LOST = "HEDGE_LOST"


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


Work = Callable[[], Awaitable[Done[T]]]


@dataclass(slots=True)
class Stepper:
    """Runs the steps of one run."""

    recorder: Recorder
    outputs: Outputs = field(default_factory=Passing)
    on_cancel: tuple[StepState, str] = (StepState.CANCELLED, "")
    """How a step that is cancelled ended, and why."""
    budgets: Budgets = field(default_factory=Budgets)

    async def run(self, name: str, policy: StepPolicy, work: Work[T]) -> T:
        """The step's result; one that has finished before is not run again.

        Args:
            name: Unique in the run. What follows a dot is not in the metrics: the round, or the fallback's name.

        Raises:
            StepFailedError: all attempts that the policy allows have failed, or time ran out.
        """
        return await self.outputs.once(name, lambda: self.run_unkept(name, policy, work))

    async def run_unkept(self, name: str, policy: StepPolicy, work: Work[T]) -> T:
        """The same where the result cannot be kept: an open stream."""
        started = time.perf_counter()
        state = StepState.FAILED
        try:
            with deadlines.limit(policy.deadline):
                done = await _Step(name, policy, self, work).run()
            state = StepState.SUCCEEDED
        except ServiceError as error:
            raise StepFailedError(name, error) from error
        except asyncio.CancelledError:
            state = self.on_cancel[0]
            raise
        finally:
            _SECONDS.labels(_base(name), state).observe(time.perf_counter() - started)
        return done.result


class _AttemptFailedError(Exception):
    """An attempt has failed; the journal has not been told yet."""

    def __init__(self, number: int, error: ServiceError) -> None:
        super().__init__(error.message)
        self.number = number
        self.error = error


class _Step(Generic[T]):
    """The attempts at one step."""

    def __init__(self, name: str, policy: StepPolicy, stepper: Stepper, work: Work[T]) -> None:
        self._name = name
        self._policy = policy
        self._stepper = stepper
        self._work = work
        self._target = _target(name, policy)
        self._started = 0
        self._open: set[int] = set()
        """Attempts whose end the journal has not been told."""

    async def run(self) -> Done[T]:
        """Tries until an attempt is good, or none may follow.

        Raises:
            ServiceError: the last attempt's.
        """
        self._stepper.budgets.asked(self._target)
        self._refuse_without_time()
        try:
            return await self._until_good()
        except asyncio.CancelledError:
            state, reason = self._stepper.on_cancel
            for number in sorted(self._open):
                self._ended(number, state, reason=reason)
            raise

    async def _until_good(self) -> Done[T]:
        tried = 0
        while True:
            try:
                number, done = await self._tried()
            except _AttemptFailedError as failed:
                wait = self._wait(tried)
                refusal = self._refusal(failed.error, tried, wait)
                note = f" ({refusal})" if refusal else ""
                self._settle(failed.number)
                self._ended(failed.number, StepState.FAILED, reason=failed.error.reason + note)
                if refusal is not None:
                    raise failed.error from failed.__cause__
                await asyncio.sleep(wait)
                tried += 1
                continue
            self._settle(number)
            self._ended(number, StepState.SUCCEEDED, done)
            return done

    async def _tried(self) -> tuple[int, Done[T]]:
        """One attempt, or one and its hedge; the end of the one that counts is left to be told."""
        after = self._policy.hedge_after if isinstance(self._policy, RetrieveStep | RerankStep) else None
        if after is None:
            return await self._attempt()
        first = self._started + 1
        number, done = await hedged(self._attempt, after, may=self._may_hedge, waits=self._waits)
        if self._started > first:
            won = "first" if number == first else "second"
            detail = {**done.detail, "hedge": {"after_ms": round(1000 * after), "won": won}}
            done = replace(done, detail=detail)
        return number, done

    def _may_hedge(self) -> bool:
        left = deadlines.remaining()
        if left is not None and left < self._policy.needs:
            return False
        granted = self._stepper.budgets.may_hedge(self._target)
        _FURTHER.labels(_base(self._name), "hedge" if granted else "hedge refused").inc()
        return granted

    def _waits(self, error: BaseException) -> bool:
        """Whether the other attempt may still be good."""
        if not isinstance(error, _AttemptFailedError) or not isinstance(error.error, _PASSING):
            return False
        self._ended(error.number, StepState.FAILED, reason=error.error.reason)
        return True

    def _refusal(self, error: ServiceError, tried: int, wait: float) -> str | None:
        """Why no attempt follows, as far as the journal is to be told; None where one does."""
        policy, left = self._policy, deadlines.remaining()
        retried = tuple(_RETRY_CLASSES[reason] for reason in policy.retry_on)
        if not isinstance(error, retried) or tried >= policy.retries:
            return ""
        if left is not None and left < wait + policy.needs:
            return NO_TIME_LEFT
        granted = self._stepper.budgets.may_retry(self._target)
        _FURTHER.labels(_base(self._name), "retry" if granted else "retry refused").inc()
        return None if granted else BUDGET_EXHAUSTED

    def _wait(self, tried: int) -> float:
        policy = self._policy
        doubled: float = policy.backoff * 2**tried + random.uniform(0.0, policy.backoff / 2)  # noqa: S311
        return min(policy.max_backoff, doubled)

    def _refuse_without_time(self) -> None:
        left = deadlines.remaining()
        if left is None or left >= self._policy.needs:
            return
        late = DeadlineExceeded(f"{self._name} was not begun: too little time was left", reason=NO_TIME_LEFT)
        self._ended(self._begin(), StepState.FAILED, reason=late.reason)
        raise late

    async def _attempt(self) -> tuple[int, Done[T]]:
        number = self._begin()
        try:
            with (
                deadlines.limit(self._policy.timeout),
                tracing.span(names.SPAN_STEP, {names.STEP: self._name, names.ATTEMPT: number}),
            ):
                limit = deadlines.remaining()
                try:
                    async with asyncio.timeout(limit):
                        return number, await self._work()
                except TimeoutError as error:
                    raise DeadlineExceeded(f"{self._name} did not end within {limit or 0.0:.3g} s") from error
        except ServiceError as error:
            raise _AttemptFailedError(number, error) from error.__cause__
        except Exception as error:
            _LOG.exception("the step %s failed unexpectedly", self._name)
            fault = Internal(f"{self._name} failed unexpectedly: {type(error).__name__}")
            raise _AttemptFailedError(number, fault) from error

    def _begin(self) -> int:
        self._started += 1
        self._open.add(self._started)
        self._stepper.recorder.step_started(self._name, self._started)
        return self._started

    def _settle(self, number: int) -> None:
        """Tells the journal of the attempt that lost to this one, whose end comes last: it is the step's."""
        for lost in sorted(self._open - {number}):
            self._ended(lost, StepState.CANCELLED, reason=HEDGE_LOST)

    def _ended(self, number: int, state: StepState, done: Done[T] | None = None, *, reason: str = "") -> None:
        self._open.discard(number)
        told = Done(None, reason=reason) if done is None else done
        self._stepper.recorder.step_ended(
            self._name, number, state, decision=told.decision, reason=told.reason, detail=told.detail
        )


def _base(name: str) -> str:
    return name.partition(".")[0]


def _target(name: str, policy: StepPolicy) -> str:
    """What shares a budget: the step, of those that write by their server."""
    if isinstance(policy, Generation | RewriteStep):
        return f"{_base(name)} {policy.model_server_ref}"
    return _base(name)
