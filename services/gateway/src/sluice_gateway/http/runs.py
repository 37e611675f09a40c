"""`/v1/runs`: what the journal has of the caller's runs."""

import json
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request

from sluice_gateway.domain.run import RunRecord, StepRecord
from sluice_gateway.http.described import described, parameter
from sluice_gateway.http.numbers import whole_number
from sluice_gateway.http.replies.runs import RunPage, RunWithSteps
from sluice_gateway.http.state import of, principal

router = APIRouter()

Json = dict[str, Any]

_MAX_LIMIT = 1000


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


@router.get("/v1/runs/{run_id}", **described("runs", RunWithSteps, errors=(404,)))
async def get_run(request: Request, run_id: str) -> Json:
    """One run with its steps."""
    record = await of(request).gateway.run(principal(request), run_id)
    usage = json.loads(record.detail or "{}").get("usage")
    return {**run_body(record), "usage": usage, "steps": [_step(step) for step in record.steps]}


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
