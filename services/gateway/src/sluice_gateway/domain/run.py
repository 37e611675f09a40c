"""A run as a sequence of events, and the record that the events add up to."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class RunState(StrEnum):
    """How a run stands."""

    RUNNING = "running"
    ANSWERED = "answered"
    BLOCKED = "blocked"
    DEGRADED = "degraded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = tuple(state for state in RunState if state is not RunState.RUNNING)


class StepState(StrEnum):
    """How a step stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class EventKind(StrEnum):
    """What happened."""

    RUN_STARTED = "run_started"
    STEP_STARTED = "step_started"
    STEP_ENDED = "step_ended"
    RUN_ENDED = "run_ended"
    FEEDBACK = "feedback"
    """A rating, during the run or long after it; changes nothing of the run."""


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the journal. It carries ids, hashes, scores and versions, never content."""

    run_id: str
    tenant: str
    kind: EventKind
    at: float
    """Unix seconds."""
    pipeline: str = ""
    step: str = ""
    attempt: int = 0
    state: str = ""
    decision: str = ""
    reason: str = ""
    detail: str = ""
    """Compact JSON."""
    input_hash: str = ""
    output_hash: str = ""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step: its first start, its last attempt."""

    name: str
    state: StepState
    attempt: int
    decision: str
    reason: str
    started: float
    ended: float | None
    detail: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run."""

    run_id: str
    tenant: str
    pipeline: str
    state: RunState
    reason: str
    started: float
    ended: float | None
    steps: tuple[StepRecord, ...]
    detail: str = ""
    """Of its end, in compact JSON."""


@dataclass(frozen=True, slots=True)
class RunChange:
    """A run has started or ended."""

    position: int
    """Its place among the changes of all runs, in the order in which they became durable."""
    record: RunRecord
    """The run as it was then, without its steps."""


@dataclass(frozen=True, slots=True)
class ChangesOf:
    """Which changes are asked for."""

    tenant: str
    states: tuple[RunState, ...] = ENDED
    """`running` is a start."""
    pipeline: str = ""
    """Any, if empty."""


def fold(events: Iterable[Event]) -> RunRecord:
    """The run that a non-empty sequence of its events adds up to.

    Raises:
        ValueError: there is no event.
    """
    record: RunRecord | None = None
    steps: dict[str, StepRecord] = {}
    for event in events:
        if record is None:
            record = RunRecord(
                event.run_id, event.tenant, event.pipeline, RunState.RUNNING, "", event.at, None, ()
            )
        if (
            event.kind is EventKind.RUN_STARTED
        ):  # not always first: feedback may come by another replica's clock
            record = replace(record, pipeline=event.pipeline, started=event.at)
        elif event.kind is EventKind.RUN_ENDED:
            ended = replace(record, state=RunState(event.state), reason=event.reason, ended=event.at)
            record = replace(ended, detail=event.detail)
        elif event.kind in (EventKind.STEP_STARTED, EventKind.STEP_ENDED):
            steps[event.step] = _step(event, steps.get(event.step))
    if record is None:
        raise ValueError("a run has at least one event")
    return replace(record, steps=tuple(steps.values()))


def _step(event: Event, before: StepRecord | None) -> StepRecord:
    ended = event.kind is EventKind.STEP_ENDED
    return StepRecord(
        name=event.step,
        state=StepState(event.state) if ended else StepState.RUNNING,
        attempt=event.attempt,
        decision=event.decision,
        reason=event.reason,
        started=event.at if before is None else before.started,
        ended=event.at if ended else None,
        detail=event.detail,
    )
