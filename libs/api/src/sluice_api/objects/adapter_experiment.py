"""`AdapterExperiment` (`abx`): one alias's traffic split over adapters until one has proved better."""

from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from sluice_api.objects.base import Duration, Model, Name, SluiceObject


class Unit(StrEnum):
    """What sticks to its arm."""

    TENANT = "tenant"
    USER = "user"
    SESSION = "session"
    REQUEST = "request"


class Role(StrEnum):
    """An arm's part."""

    CONTROL = "Control"
    TREATMENT = "Treatment"


class Arm(Model):
    """One side of the experiment."""

    name: Name
    role: Role
    adapter_ref: Name | None = None
    """A `LoRAAdapter`; the base model when not set."""
    weight: Annotated[int, Field(ge=0, le=100)]
    """Percent of the units."""


class Aggregation(StrEnum):
    """How a metric's samples become one number."""

    MEAN = "mean"
    P95 = "p95"
    RATE = "rate"


class GuardMetric(Model):
    """A bound that ends the experiment when a treatment breaks it."""

    metric: Annotated[str, Field(min_length=1, max_length=63)]
    aggregation: Aggregation = Aggregation.MEAN
    max: float | None = None
    min_delta: float | None = None
    """The least a treatment must gain over control; negative values allow a loss."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.max is None and self.min_delta is None:
            raise ValueError("one of max, minDelta must be set")
        return self


class OnSuccess(StrEnum):
    """What happens when a treatment wins."""

    PROMOTE = "Promote"
    HOLD = "Hold"


class OnBreach(StrEnum):
    """What happens when a guard metric is broken."""

    ROLLBACK = "Rollback"
    PAUSE = "Pause"


class AdapterExperimentSpec(Model):
    """The arms, and how the verdict is reached."""

    model_server_ref: Name
    model_name: Annotated[str, Field(min_length=1, max_length=128)]
    """The alias whose traffic is split."""
    unit: Unit = Unit.USER
    salt: Annotated[str, Field(max_length=63)] = ""
    arms: Annotated[tuple[Arm, ...], Field(min_length=2, max_length=8)]
    guard_metrics: Annotated[tuple[GuardMetric, ...], Field(max_length=16)] = ()
    min_samples_per_arm: Annotated[int, Field(ge=1, le=10_000_000)] = 1000
    max_duration: Duration = 7 * 86400.0
    on_success: OnSuccess = OnSuccess.HOLD
    on_breach: OnBreach = OnBreach.ROLLBACK

    @model_validator(mode="after")
    def _balanced(self) -> Self:
        if sum(arm.weight for arm in self.arms) != 100:
            raise ValueError("the weights of all arms must add up to 100")
        if sum(arm.role is Role.CONTROL for arm in self.arms) != 1:
            raise ValueError("exactly one arm must have the role Control")
        if len({arm.name for arm in self.arms}) != len(self.arms):
            raise ValueError("the names of the arms must differ")
        return self


class AdapterExperiment(SluiceObject):
    """A split of one alias's traffic with a verdict at its end."""

    KIND: ClassVar[str] = "AdapterExperiment"
    SHORT_NAME: ClassVar[str] = "abx"
    PLURAL: ClassVar[str] = "adapterexperiments"

    spec: AdapterExperimentSpec
