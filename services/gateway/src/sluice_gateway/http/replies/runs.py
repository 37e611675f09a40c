"""What runs and the process itself reply."""

from typing import Any, Literal

from pydantic import BaseModel


class RunReply(BaseModel):
    """A run."""

    run_id: str
    model: str
    tenant: str
    state: str
    reason: str
    started: str | None
    ended: str | None
    duration_ms: float | None


class StepReply(BaseModel):
    """A step of a run."""

    name: str
    state: str
    attempt: int
    decision: str | None
    reason: str
    started: str | None
    ended: str | None
    duration_ms: float | None
    detail: dict[str, Any]


class RunWithSteps(RunReply):
    """A run with its steps."""

    steps: list[StepReply]


class RunPage(BaseModel):
    """The newest runs."""

    runs: list[RunReply]
    next: str | None
    """The `before` of the following page."""


class RunEvent(BaseModel):
    """What has happened in a run."""

    kind: str
    at: str
    step: str | None
    attempt: int | None
    state: str
    decision: str | None
    reason: str
    detail: dict[str, Any]


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """Whether everything that a run needs answers."""

    status: Literal["ready", "not ready"]
    not_ready: list[str] | None = None
