"""What experiments and feedback reply."""

from pydantic import BaseModel, Field


class ArmReply(BaseModel):
    """An arm of an experiment."""

    name: str
    role: str
    weight: int
    """Percent of the units."""
    model_name: str
    """What writes its answers; the server's base model when empty."""
    resting: bool
    """Its adapter is not ready; control has its units."""


class ExperimentReply(BaseModel):
    """An experiment as it is in force."""

    name: str
    model_server: str
    model_name: str
    """The model whose traffic is split."""
    unit: str
    arms: list[ArmReply]
    promoted: str
    """The arm that all traffic goes to; empty where there is no verdict."""
    min_samples_per_arm: int
    method: str
    """`Sequential` or `FixedSample`: which intervals the guard metrics go by."""
    alpha: float
    """The chance that what they say together is wrong."""


class ExperimentList(BaseModel):
    """All experiments."""

    experiments: list[ExperimentReply]


class Counts(BaseModel):
    """How many, and of which kind."""

    total: int
    by: dict[str, int]


class Samples(BaseModel):
    """Of numbers: how many, and how they lie."""

    count: int
    mean: float | None
    variance: float | None


class GroundednessSamples(Samples):
    """Groundedness of answers, 0 to 1."""

    histogram: list[int]
    """In ten bins of equal width."""


class SecondsSamples(Samples):
    """Seconds of answered runs; quantiles are within 1 %, and absent where there is none."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class FeedbackSamples(Samples):
    """Ratings, 0 to 1."""

    up: int
    down: int


class OutcomesReply(BaseModel):
    """What became of an arm's runs."""

    requests: int
    answered: int
    degraded: int
    cancelled: int
    errors: Counts
    """Failed runs by the error's reason."""
    blocks: Counts
    """Blocked runs by the gate's step."""
    groundedness: GroundednessSamples
    seconds: SecondsSamples
    prompt_tokens: Samples
    completion_tokens: Samples
    feedback: FeedbackSamples


class ArmWithOutcomes(ArmReply):
    """An arm and what became of its runs."""

    outcomes: OutcomesReply


Interval = list[float | None]
"""Lower and upper end; null where samples do not bound it."""


class EstimateReply(BaseModel):
    """A number, and between what it lies."""

    value: float | None
    interval: Interval = Field(min_length=2, max_length=2)
    samples: int


class ComparisonReply(BaseModel):
    """A treatment beside control, by one metric."""

    arm: str
    metric: str
    aggregation: str
    better: str
    """`more` or `less`."""
    control: EstimateReply
    treatment: EstimateReply
    difference: EstimateReply
    """Treatment less control, wrong with the chance `alpha` for a single look."""
    always_valid: Interval = Field(min_length=2, max_length=2)
    """The same at all looks together."""


class GuardMetricReply(BaseModel):
    """How one bound stands for one treatment."""

    arm: str
    metric: str
    aggregation: str
    bound: str
    """`max` or `minDelta`."""
    limit: float
    standing: str
    """`too_few`, `open`, `met` or `broken`."""
    estimate: EstimateReply | None
    """The treatment's number, or its gain over control."""


class SuggestionReply(BaseModel):
    """What the guard metrics say together."""

    verdict: str
    """`continue`, `breach` or `success`."""
    arm: str


class ExperimentReport(ExperimentReply):
    """An experiment and what it has shown."""

    arms: list[ArmWithOutcomes]  # type: ignore[assignment]  # more of each
    since: str | None
    """From when on runs count; null for all."""
    comparisons: list[ComparisonReply]
    guard_metrics: list[GuardMetricReply]
    suggestion: SuggestionReply


class FeedbackReply(BaseModel):
    """What became of feedback."""

    run_id: str
    rating: float
    comment_kept: bool
    experiment: str
    arm: str
    """The arm that the run was assigned to; empty where there was none."""
