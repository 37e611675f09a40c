"""The port to the gateway's statistics, and what it tells. One gateway speaks for all its replicas."""

from datetime import datetime
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from sluice_api.objects.adapter_experiment import Aggregation, Metric

Interval = Annotated[tuple[float | None, ...], Field(min_length=2, max_length=2)]
"""Lower and upper end; none where samples do not bound it."""


class Told(BaseModel):
    """Base of what the gateway tells; what it tells besides is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Count(Told):
    """How many."""

    total: int


class Numbers(Told):
    """How many numbers, and their mean."""

    count: int
    mean: float | None = None
    p95: float | None = None


class ArmOutcomes(Told):
    """What became of an arm's runs."""

    requests: int
    errors: Count
    groundedness: Numbers
    seconds: Numbers
    feedback: Numbers


class ReportedArm(Told):
    """An arm as the gateway has it in force."""

    name: str
    role: str
    weight: int
    model_name: str
    resting: bool
    outcomes: ArmOutcomes


class Estimate(Told):
    """A number, and between what it lies."""

    value: float | None
    interval: Interval
    samples: int


class Comparison(Told):
    """A treatment less control."""

    arm: str
    metric: Metric
    aggregation: Aggregation
    difference: Estimate
    """For a single look."""
    always_valid: Interval
    """For all looks together."""


class Check(Told):
    """How one bound stands for one treatment."""

    arm: str
    metric: str
    aggregation: str
    bound: Literal["max", "minDelta"]
    limit: float
    standing: Literal["too_few", "open", "met", "broken"]
    estimate: Estimate | None


class Suggestion(Told):
    """What the bounds say together."""

    verdict: Literal["continue", "breach", "success"]
    arm: str


class Report(Told):
    """An experiment as the gateway has it in force, and what it has shown since a time."""

    name: str
    model_server: str
    model_name: str
    unit: str
    arms: tuple[ReportedArm, ...]
    min_samples_per_arm: int
    method: str
    alpha: float
    since: datetime | None
    comparisons: tuple[Comparison, ...]
    guard_metrics: tuple[Check, ...]
    suggestion: Suggestion


class Outcomes(Protocol):
    """What an operator asks the gateway."""

    async def report(self, experiment: str, since: float) -> Report:
        """What an experiment has shown since a time (Unix seconds, a whole hour), in one look.

        Raises:
            Unavailable, DeadlineExceeded, ResourceExhausted: the gateway cannot be reached, or its database; try again.
            Unauthenticated, PermissionDenied: it takes no key of ours, or the key is no admin's.
            NotFound: it has no such experiment (`EXPERIMENT_NOT_FOUND`).
            FailedPrecondition: what is there does not answer as the gateway does, or the key's file cannot be read.
        """
