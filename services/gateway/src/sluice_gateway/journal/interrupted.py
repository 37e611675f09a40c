"""How runs end whose writer has died. Pure."""

import json
import time
from collections.abc import Iterator, Sequence

from sluice_gateway.domain.run import Event, EventKind, RunRecord, RunState, StepState, fold

#: Why such a run has failed.
REASON = "GATEWAY_RESTARTED"

#: What the start of a durable run says of itself: the executor that resumes it ends it, too.
_STANDARD = "standard"


def ends(events: Sequence[Event]) -> list[Event]:
    """The events that end a run; none where it has ended, or where another executor goes on with it.

    Args:
        events: All of the run's events so far, in their order; at least one.
    """
    if any(event.kind is EventKind.RUN_ENDED for event in events) or is_durable(events):
        return []
    return list(_interrupted(fold(events)))


def is_durable(events: Sequence[Event]) -> bool:
    """True where one of the run's starts says that the durable executor runs it."""
    return any(
        _executor(event.detail) == _STANDARD for event in events if event.kind is EventKind.RUN_STARTED
    )


def _executor(detail: str) -> object:
    try:
        said = json.loads(detail or "{}")
    except ValueError:  # an edited row; an audit tells
        return None
    return said.get("executor") if isinstance(said, dict) else None


def _interrupted(record: RunRecord) -> Iterator[Event]:
    now = time.time()
    for step in record.steps:
        if step.state is StepState.RUNNING:
            yield Event(
                run_id=record.run_id,
                tenant=record.tenant,
                kind=EventKind.STEP_ENDED,
                at=now,
                pipeline=record.pipeline,
                step=step.name,
                attempt=step.attempt,
                state=StepState.FAILED,
                reason=REASON,
            )
    yield Event(
        run_id=record.run_id,
        tenant=record.tenant,
        kind=EventKind.RUN_ENDED,
        at=now,
        pipeline=record.pipeline,
        state=RunState.FAILED,
        reason=REASON,
    )
