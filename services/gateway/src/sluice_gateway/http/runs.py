"""`/v1/runs`: what the journal has of the caller's runs."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request

from sluice_gateway.domain.run import Descendant, RunRecord, StepRecord
from sluice_gateway.http.completions import Shape, completion
from sluice_gateway.http.described import described, parameter
from sluice_gateway.http.numbers import whole_number
from sluice_gateway.http.replies.runs import RunPage, RunWithSteps
from sluice_gateway.http.state import of, principal
from sluice_gateway.run_control import RunView

router = APIRouter()

Json = dict[str, Any]

_MAX_LIMIT = 1000

#: Seconds that a request may wait for a run's end.
MAX_WAIT = 300


@router.get(
    "/v1/runs",
    **described(
        "runs",
        RunPage,
        parameters=(
            parameter(
                "limit", "Runs in one page.", type="integer", minimum=1, maximum=_MAX_LIMIT, default=50
            ),
            parameter("before", "Those older than this run.", type="string"),
        ),
    ),
)
async def list_runs(request: Request) -> Json:
    """The newest runs; `next` is the `before` of the following page."""
    limit = whole_number(request.query_params.get("limit", "50"), "limit", 1, _MAX_LIMIT)
    before = request.query_params.get("before")
    records = await of(request).gateway.runs(principal(request), limit, before)
    return {
        "runs": [run_body(record) for record in records],
        "next": records[-1].run_id if len(records) == limit else None,
    }


@router.get(
    "/v1/runs/{run_id}",
    **described(
        "runs",
        RunWithSteps,
        errors=(404,),
        parameters=(
            parameter(
                "wait",
                "Seconds to wait for the end of a run in the background.",
                type="integer",
                minimum=0,
                maximum=MAX_WAIT,
                default=0,
            ),
        ),
    ),
)
async def get_run(request: Request, run_id: str) -> Json:
    """One run with its steps; `wait` waits so many seconds for its end, where it goes on in the background."""
    who, control = principal(request), of(request).control
    if seconds := whole_number(request.query_params.get("wait", "0"), "wait", 0, MAX_WAIT):
        await control.wait(who, run_id, seconds)
    return view_body(await control.view(who, run_id))


def view_body(view: RunView) -> Json:
    """A run with its steps, what it comes from, what was made of it, and what it gave."""
    record, origin, result = view.record, view.record.origin, view.result
    return {
        **run_body(record),
        "usage": json.loads(record.detail or "{}").get("usage"),
        "steps": [_step(step) for step in record.steps],
        "executor": record.executor,
        "resumed": record.resumed,
        "experiment": record.experiment or None,
        "arm": record.arm or None,
        "adapter": record.adapter or None,
        "origin": None if origin is None else asdict(origin),
        "descendants": [_descendant(made) for made in record.descendants],
        "result": None
        if result is None
        else completion(result, Shape(record.pipeline, int(record.started), len(result.choices))),
    }


def _descendant(made: Descendant) -> Json:
    return {
        "run_id": made.run_id,
        "how": made.how,
        "step": made.step,
        "decision": made.decision or None,
        "reason": made.reason or None,
        "actor": made.actor or None,
        "at": time_body(made.at),
    }


def run_body(record: RunRecord) -> Json:
    """A run without its steps."""
    return {
        "run_id": record.run_id,
        "model": record.pipeline,
        "tenant": record.tenant,
        "state": str(record.state),
        "reason": record.reason,
        "started": time_body(record.started),
        "ended": time_body(record.ended),
        "duration_ms": _milliseconds(record.started, record.ended),
    }


def _step(step: StepRecord) -> Json:
    return {
        "name": step.name,
        "state": str(step.state),
        "attempt": step.attempt,
        "decision": step.decision or None,
        "reason": step.reason,
        "started": time_body(step.started),
        "ended": time_body(step.ended),
        "duration_ms": _milliseconds(step.started, step.ended),
        "detail": json.loads(step.detail) if step.detail else {},
    }


def time_body(at: float | None) -> str | None:
    """A time in UTC."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")


def _milliseconds(started: float, ended: float | None) -> float | None:
    return None if ended is None else round((ended - started) * 1000, 3)
