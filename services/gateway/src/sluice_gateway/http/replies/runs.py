"""What runs and the process itself reply."""

from typing import Any, Literal

from pydantic import BaseModel

from sluice_gateway.http.replies.openai import ChatCompletion


class Accepted(BaseModel):
    """A run in the background that was taken on."""

    run_id: str
    state: str


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


class RunUsage(BaseModel):
    """Tokens that a run has read and written."""

    prompt_tokens: int
    completion_tokens: int
    estimated: bool | None = None
    """The model server has not told; absent where it has."""


class OriginReply(BaseModel):
    """The run that another was made of."""

    run_id: str
    how: Literal["forked", "overridden", "promoted"]
    from_step: str
    """The first step that was not taken over."""


class DescendantReply(BaseModel):
    """A run that was made of another."""

    run_id: str
    how: Literal["forked", "overridden", "promoted"]
    step: str
    """From where on it was made."""
    decision: str | None
    """What a gate's decision was turned into."""
    reason: str | None
    """Why, in the words of whoever turned it."""
    actor: str | None
    at: str


class RunWithSteps(RunReply):
    """A run with its steps, what it comes from, what was made of it, and what it gave."""

    usage: RunUsage | None
    """Null until the run's end, and where no model was asked."""
    steps: list[StepReply]
    executor: Literal["express", "standard"]
    """`standard` goes on in the background, over the death of its process."""
    resumed: int
    """How often it went on."""
    experiment: str | None
    arm: str | None
    """The experiment's arm that it was assigned to; both are null where there was none."""
    origin: OriginReply | None
    descendants: list[DescendantReply]
    result: ChatCompletion | None
    """Of a run in the background that has ended with one, for as long as its payloads are kept; for whoever asked, and
    admins."""


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
