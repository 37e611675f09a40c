"""`AdapterExperiment` (`abx`): one alias's traffic split over adapters until one has proved better."""

from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from sluice_api.objects.base import Duration, Model, Name, SluiceObject
from sluice_api.objects.cel import Rule, immutable


class Unit(StrEnum):
    """What sticks to its arm. A run whose unit is not known is assigned by itself, as with `request`."""

    TENANT = "tenant"
    USER = "user"
    """The request's `safety_identifier` or `user`, else the subject of the API key."""
    SESSION = "session"
    """The request's `metadata.session_id`, else its header `x-sluice-session`."""
    REQUEST = "request"


class Role(StrEnum):
    """An arm's part."""

    CONTROL = "Control"
    TREATMENT = "Treatment"


class Arm(Model):
    """One side of the experiment."""

    LIST_KEYS: ClassVar[tuple[str, ...]] = ("name",)

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


class Metric(StrEnum):
    """What of an arm's runs is measured."""

    ERROR_RATE = "errorRate"
    """The share of runs that failed."""
    BLOCK_RATE = "blockRate"
    """The share of runs that a gate blocked."""
    DEGRADED_RATE = "degradedRate"
    """The share of runs that were answered without a step that may be missing."""
    GROUNDEDNESS = "groundedness"
    """Of the answers, 0 to 1, by the output gate."""
    LATENCY = "latency"
    """Seconds from admission to the end of an answered run."""
    TOKENS = "tokens"
    """Tokens that the model wrote for an answered run."""
    FEEDBACK = "feedback"
    """Ratings, 0 to 1."""

    @property
    def more_is_better(self) -> bool:
        """True where a higher value is a gain."""
        return self in (Metric.GROUNDEDNESS, Metric.FEEDBACK)

    @property
    def is_rate(self) -> bool:
        """True where it counts runs."""
        return self in (Metric.ERROR_RATE, Metric.BLOCK_RATE, Metric.DEGRADED_RATE)

    @property
    def aggregations(self) -> tuple[Aggregation, ...]:
        """How its samples may become one number."""
        if self.is_rate:
            return (Aggregation.RATE, Aggregation.MEAN)
        return (Aggregation.MEAN, Aggregation.P95) if self is Metric.LATENCY else (Aggregation.MEAN,)


class GuardMetric(Model):
    """A bound that ends the experiment when a treatment breaks it."""

    metric: Metric
    aggregation: Aggregation = Aggregation.MEAN
    max: float | None = None
    """The most that a treatment may have; not of groundedness and feedback, of which more is better."""
    min_delta: float | None = None
    """The least a treatment must gain over control; negative values allow a loss. A gain is less of errors, blocks,
    seconds and tokens, and more of groundedness and feedback."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.max) || has(self.minDelta)", "one of max, minDelta must be set", "_bounded"),
        Rule(
            "!has(self.max) || !(self.metric in ['groundedness', 'feedback'])",
            "max cannot bound a metric of which more is better; set minDelta",
            "_bounded",
            "max",
        ),
        Rule(
            "self.metric in ['errorRate', 'blockRate', 'degradedRate'] ? self.aggregation in ['rate', 'mean']"
            " : self.metric == 'latency' ? self.aggregation in ['mean', 'p95'] : self.aggregation == 'mean'",
            "the aggregation must be rate or mean of errorRate, blockRate and degradedRate, mean or p95 of latency, "
            "and mean of all others",
            "_bounded",
            "aggregation",
        ),
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.max is None and self.min_delta is None:
            raise ValueError("one of max, minDelta must be set")
        if self.max is not None and self.metric.more_is_better:
            raise ValueError(f"max cannot bound {self.metric}, of which more is better; set minDelta")
        if self.aggregation not in self.metric.aggregations:
            known = " or ".join(self.metric.aggregations)
            raise ValueError(f"the aggregation of {self.metric} must be {known}, not {self.aggregation}")
        return self


class OnSuccess(StrEnum):
    """What happens when a treatment wins."""

    PROMOTE = "Promote"
    HOLD = "Hold"


class OnBreach(StrEnum):
    """What happens when a guard metric is broken."""

    ROLLBACK = "Rollback"
    PAUSE = "Pause"


class Method(StrEnum):
    """When a verdict is reached, and which intervals it goes by."""

    SEQUENTIAL = "Sequential"
    """At any look, by intervals that hold at all looks together."""
    FIXED_SAMPLE = "FixedSample"
    """At one look, once every arm has `minSamplesPerArm` runs, by the narrower intervals that hold at one."""


class VerdictRule(Model):
    """How sure a verdict has to be."""

    method: Method = Method.SEQUENTIAL
    """`Sequential` may end an experiment at any time, and does so early where a treatment is grossly bad.
    `FixedSample` decides once and for all; it needs fewer runs, and lets a bad treatment have all of them."""
    alpha: Annotated[float, Field(ge=0.0001, le=0.5)] = 0.05
    """The chance that the bounds of all treatments together decide wrongly."""


class Decommission(StrEnum):
    """What becomes of the adapters that have lost, once all traffic goes to another arm."""

    KEEP = "Keep"
    """They stay loaded; the condition `Decommissioned` says which may be deleted."""
    RETIRE = "Retire"
    """They are drained and unloaded after their own `rollbackWindow`, unless something else uses them. Their objects
    stay, and are loaded again when the experiment is deleted or begins anew."""


class AdapterExperimentSpec(Model):
    """The arms, and how the verdict is reached."""

    model_server_ref: Name
    model_name: Annotated[str, Field(min_length=1, max_length=128)]
    """The alias whose traffic is split."""
    unit: Unit = Unit.USER
    """What sticks to its arm; a run that does not say which it is of is dealt by itself."""
    salt: Annotated[str, Field(max_length=63)] = ""
    """Another salt deals all units anew; the experiment's name when empty."""
    arms: Annotated[tuple[Arm, ...], Field(min_length=2, max_length=8)]
    guard_metrics: Annotated[tuple[GuardMetric, ...], Field(max_length=16)] = ()
    min_samples_per_arm: Annotated[int, Field(ge=1, le=10_000_000)] = 1000
    """Runs below which a treatment cannot have won. It can have lost before, where that is sure."""
    verdict: VerdictRule = VerdictRule()
    analysis_interval: Annotated[Duration, Field(ge=1.0, le=86400.0)] = 60.0
    """Between two looks at what the arms have shown."""
    max_duration: Annotated[Duration, Field(ge=60.0, le=90 * 86400.0)] = 7 * 86400.0
    """Without a verdict until then it ends inconclusive. Time that it is paused, or that an arm is not ready, does not
    count. Statistics go back 90 days at most."""
    on_success: OnSuccess = OnSuccess.HOLD
    on_breach: OnBreach = OnBreach.ROLLBACK
    decommission: Decommission = Decommission.KEEP
    paused: bool = False
    """No verdict is reached meanwhile and the clock stands; traffic is split on. One that was reached stays."""
    inference_pool: Name | None = None
    """The `InferencePool` of the Gateway API that the split is told to as an `InferenceModelRewrite`, where the cluster
    has that kind; the model server's name when not set."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.arms.map(arm, arm.weight).sum() == 100",
            "the weights of all arms must add up to 100",
            "_balanced",
            "arms",
        ),
        Rule(
            "self.arms.exists_one(arm, arm.role == 'Control')",
            "exactly one arm must have the role Control",
            "_balanced",
            "arms",
        ),
        immutable("modelServerRef", "the samples are of that server; make a new experiment"),
        immutable("modelName", "the samples are of that alias; make a new experiment"),
    )

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
