"""A run as a sequence of events, and the record that the events add up to."""

import json
from collections.abc import Iterable, Sequence
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


#: The executors: in process and once, or durable.
EXPRESS, STANDARD = "express", "standard"

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
    RUN_RESUMED = "run_resumed"
    """It goes on: after the death of the process that ran it, or because somebody asked for it."""
    RUN_FORKED = "run_forked"
    """Another run was made of it, from one of its steps on."""
    RUN_OVERRIDDEN = "run_overridden"
    """The same, with a gate's decision turned by a person."""
    RUN_PROMOTED = "run_promoted"
    """Another run goes on in the background with what this one had finished."""


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
class Origin:
    """The run that another was made of."""

    run_id: str
    how: str
    """`forked`, `overridden` or `promoted`."""
    from_step: str
    """The first step that was not taken over."""


@dataclass(frozen=True, slots=True)
class Descendant:
    """A run that was made of another, as the journal of that one tells."""

    run_id: str
    how: str
    step: str
    decision: str
    """What a gate's decision was turned into; empty where it was not."""
    reason: str
    """Why, as the person has said."""
    actor: str
    at: float


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
    executor: str = EXPRESS
    origin: Origin | None = None
    descendants: tuple[Descendant, ...] = ()
    resumed: int = 0
    """How often it went on."""
    experiment: str = ""
    arm: str = ""
    """The experiment's arm that the run was assigned to; empty where there was none."""
    adapter: str = ""
    """The alias of the adapter that was asked for, or chosen; empty for the base model."""


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
        if event.kind is EventKind.RUN_STARTED:
            # Not always the first event: feedback may come by another replica's clock.
            record = _started(record, event)
        elif event.kind is EventKind.RUN_ENDED:
            ended = replace(record, state=RunState(event.state), reason=event.reason, ended=event.at)
            record = replace(ended, detail=event.detail)
        elif event.kind is EventKind.RUN_RESUMED:
            resumed = record.resumed + 1
            record = replace(record, state=RunState.RUNNING, reason="", ended=None, resumed=resumed)
        elif event.kind in _DESCENT:
            record = replace(record, descendants=(*record.descendants, _descendant(event)))
        elif event.kind in (EventKind.STEP_STARTED, EventKind.STEP_ENDED):
            steps[event.step] = _step(event, steps.get(event.step))
    if record is None:
        raise ValueError("a run has at least one event")
    return replace(record, steps=tuple(steps.values()))


_DESCENT = {
    EventKind.RUN_FORKED: "forked",
    EventKind.RUN_OVERRIDDEN: "overridden",
    EventKind.RUN_PROMOTED: "promoted",
}


def _started(record: RunRecord, event: Event) -> RunRecord:
    detail = json.loads(event.detail) if event.detail else {}
    origin = None
    for how in _DESCENT.values():
        if source := detail.get(f"{how}_from"):
            origin = Origin(source, how, detail.get("from_step", ""))
    assigned = detail.get("experiment") or {}
    return replace(
        record,
        pipeline=event.pipeline,
        started=event.at,
        executor=detail.get("executor", EXPRESS),
        origin=origin,
        experiment=assigned.get("name", ""),
        arm=assigned.get("arm", ""),
        adapter=(detail.get("adapter") or {}).get("model_name", ""),
    )


def _descendant(event: Event) -> Descendant:
    detail = json.loads(event.detail) if event.detail else {}
    how = _DESCENT[event.kind]
    return Descendant(
        run_id=detail.get(f"{how}_by", ""),
        how=how,
        step=event.step,
        decision=event.decision,
        reason=event.reason,
        actor=detail.get("actor", ""),
        at=event.at,
    )


def left(events: Sequence[Event]) -> RunRecord | None:
    """The run that events add up to; None where there are none but feedback, which may outlive the run in a journal."""
    return fold(events) if any(event.kind is not EventKind.FEEDBACK for event in events) else None


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
