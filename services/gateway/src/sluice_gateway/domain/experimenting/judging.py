"""What an experiment's guard metrics say of its arms so far. A suggestion: whoever operates decides. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sluice_api.objects.adapter_experiment import (
    AdapterExperimentSpec,
    Aggregation,
    Arm,
    GuardMetric,
    Method,
    Metric,
    Role,
)
from sluice_gateway.domain.experimenting import comparing
from sluice_gateway.domain.experimenting.comparing import Estimate
from sluice_gateway.domain.experimenting.outcomes import Outcomes

#: Samples below which no metric is judged, however bad: intervals of means lean on the central limit.
_FEWEST = 30

#: What two arms are compared by, whatever the guard metrics are.
SHOWN: Sequence[tuple[Metric, Aggregation]] = (
    (Metric.ERROR_RATE, Aggregation.RATE),
    (Metric.BLOCK_RATE, Aggregation.RATE),
    (Metric.DEGRADED_RATE, Aggregation.RATE),
    (Metric.GROUNDEDNESS, Aggregation.MEAN),
    (Metric.LATENCY, Aggregation.MEAN),
    (Metric.LATENCY, Aggregation.P95),
    (Metric.TOKENS, Aggregation.MEAN),
    (Metric.FEEDBACK, Aggregation.MEAN),
)


class Bound(StrEnum):
    """Which of a guard metric's bounds."""

    MAX = "max"
    MIN_DELTA = "minDelta"


class Standing(StrEnum):
    """How a bound stands."""

    TOO_FEW = "too_few"
    """Samples."""
    OPEN = "open"
    """The bound lies within the interval."""
    MET = "met"
    BROKEN = "broken"


class Suggestion(StrEnum):
    """What to do."""

    CONTINUE = "continue"
    BREACH = "breach"
    """A treatment has broken a bound."""
    SUCCESS = "success"
    """A treatment meets all bounds."""


@dataclass(frozen=True, slots=True)
class Check:
    """One bound of one guard metric, of one treatment."""

    arm: str
    metric: Metric
    aggregation: Aggregation
    bound: Bound
    limit: float
    standing: Standing
    estimate: Estimate | None
    """The treatment's number for `max`, its gain over control for `minDelta`; the interval holds at all looks together,
    or at one, as the spec's method says. None where there is no sample."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the guard metrics say."""

    suggestion: Suggestion
    arm: str
    """The treatment that it is about; empty for `continue`."""
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A treatment beside control."""

    arm: str
    metric: Metric
    aggregation: Aggregation
    control: Estimate
    treatment: Estimate
    difference: Estimate
    """Treatment less control, as sure for a single look as the spec's `alpha` says: 95 % by default."""
    always: Estimate
    """The same, as sure at all looks together."""


def judge(spec: AdapterExperimentSpec, outcomes: Mapping[str, Outcomes]) -> Judgement:
    """Holds every treatment to every bound. Below `minSamplesPerArm` runs in either arm none is met. One may be broken
    before: intervals that hold at all looks are wide while samples are few, and what fails every time need not fail a
    thousand times. Where the verdict is that of one look, nothing is said before that."""
    checks = tuple(_checks(spec, outcomes))
    broken = next((check for check in checks if check.standing is Standing.BROKEN), None)
    if broken is not None:
        return Judgement(Suggestion.BREACH, broken.arm, checks)
    for arm in treatments(spec):
        standings = [check.standing for check in checks if check.arm == arm.name]
        if standings and all(standing is Standing.MET for standing in standings):
            return Judgement(Suggestion.SUCCESS, arm.name, checks)
    return Judgement(Suggestion.CONTINUE, "", checks)


def compare(spec: AdapterExperimentSpec, outcomes: Mapping[str, Outcomes]) -> list[Comparison]:
    """Every treatment beside control, by all metrics of which both have samples."""
    return [
        comparison
        for arm in treatments(spec)
        for metric, aggregation in SHOWN
        if (comparison := _comparison(spec, outcomes, arm, metric, aggregation)) is not None
    ]


def treatments(spec: AdapterExperimentSpec) -> list[Arm]:
    """All arms but control."""
    return [arm for arm in spec.arms if arm.role is Role.TREATMENT]


def control_of(spec: AdapterExperimentSpec) -> Arm:
    """The arm that the others are held to."""
    return next(arm for arm in spec.arms if arm.role is Role.CONTROL)


def _comparison(
    spec: AdapterExperimentSpec,
    outcomes: Mapping[str, Outcomes],
    arm: Arm,
    metric: Metric,
    aggregation: Aggregation,
) -> Comparison | None:
    treatment, control = outcomes[arm.name], outcomes[control_of(spec).name]

    def both(multiplier: float) -> tuple[Estimate | None, Estimate | None]:
        return (
            comparing.estimate(treatment, metric, aggregation, multiplier),
            comparing.estimate(control, metric, aggregation, multiplier),
        )

    alpha = spec.verdict.alpha
    ours, theirs = both(comparing.single_look(treatment, control, metric, aggregation, alpha))
    if ours is None or theirs is None:
        return None
    information = comparing.harmonic(ours.samples, theirs.samples)
    wide, wider = both(comparing.sequential(information, spec.min_samples_per_arm, alpha))
    if wide is None or wider is None:
        return None
    return Comparison(
        arm.name,
        metric,
        aggregation,
        theirs,
        ours,
        comparing.difference(ours, theirs),
        comparing.difference(wide, wider),
    )


def _checks(spec: AdapterExperimentSpec, outcomes: Mapping[str, Outcomes]) -> Iterator[Check]:
    asked = [
        (arm, guard, bound, limit)
        for arm in treatments(spec)
        for guard in spec.guard_metrics
        for bound, limit in ((Bound.MAX, guard.max), (Bound.MIN_DELTA, guard.min_delta))
        if limit is not None
    ]
    for arm, guard, bound, limit in asked:
        # Bonferroni: all bounds of all treatments together are wrong no more often than one alone would be.
        found = _measured(spec, outcomes, arm, guard, bound, spec.verdict.alpha / len(asked))
        standing = Standing.TOO_FEW
        if found is not None and found.samples >= _FEWEST:
            standing = _standing(found, bound, limit)
            early = standing is Standing.BROKEN and spec.verdict.method is Method.SEQUENTIAL
            if not early and not _enough(spec, outcomes, arm):
                standing = Standing.TOO_FEW
        yield Check(arm.name, guard.metric, guard.aggregation, bound, limit, standing, found)


def _enough(spec: AdapterExperimentSpec, outcomes: Mapping[str, Outcomes], arm: Arm) -> bool:
    arms = (arm.name, control_of(spec).name)
    return all(outcomes[name].requests >= spec.min_samples_per_arm for name in arms)


def _measured(
    spec: AdapterExperimentSpec,
    outcomes: Mapping[str, Outcomes],
    arm: Arm,
    guard: GuardMetric,
    bound: Bound,
    alpha: float,
) -> Estimate | None:
    """What a bound is held against; None where there is no sample."""
    metric, aggregation = guard.metric, guard.aggregation
    treatment, control = outcomes[arm.name], outcomes[control_of(spec).name]
    counts = [comparing.samples(each, metric) for each in (treatment, control)]
    information = float(counts[0]) if bound is Bound.MAX else comparing.harmonic(*counts)
    if not information:
        return None
    if spec.verdict.method is Method.SEQUENTIAL:
        multiplier = comparing.sequential(information, spec.min_samples_per_arm, alpha)
    else:
        beside = Outcomes() if bound is Bound.MAX else control
        multiplier = comparing.single_look(treatment, beside, metric, aggregation, alpha)
    ours = comparing.estimate(treatment, metric, aggregation, multiplier)
    if bound is Bound.MAX or ours is None:
        return ours
    theirs = comparing.estimate(control, metric, aggregation, multiplier)
    if theirs is None:
        return None
    return comparing.difference(ours, theirs) if metric.more_is_better else comparing.difference(theirs, ours)


def _standing(found: Estimate, bound: Bound, limit: float) -> Standing:
    if bound is Bound.MAX:
        broken, met = found.lower > limit, found.upper <= limit
    else:
        broken, met = found.upper < limit, found.lower >= limit
    return Standing.BROKEN if broken else Standing.MET if met else Standing.OPEN
