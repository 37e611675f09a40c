"""How far two arms lie apart, and how sure that is. Pure.

Each arm's number has an interval of its own: Wilson's for rates, Agresti's and Coull's for what lies between 0 and 1,
mean ± multiplier · standard error for seconds and tokens, order statistics for quantiles. Two of them give the interval
of their difference by MOVER (Zou and Donner 2008), which is Newcombe's method 10 for rates and Welch's for means.

All of them are as wide as the runs' units make them (`grouping`), not as if every run were another unit's.

One multiplier, the usual 1.96 or Student's t, holds for a single look. Who looks again and again, as an operator does,
is fooled by it: after enough looks some difference is "significant". `sequential` gives the multiplier of a confidence
sequence, whose intervals hold at all looks together (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024,
arXiv:2103.06476, by the normal mixture of Robbins 1970).
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

from sluice_api.objects.adapter_experiment import Aggregation, Metric
from sluice_gateway.domain.experimenting.outcomes import Outcomes
from sluice_gateway.domain.experimenting.sketch import Moments

#: The chance that an interval misses what it is of.
ALPHA = 0.05

_P95 = 0.95

#: Fewer numbers that happen to be equal say nothing of how they spread.
_FEW = 30


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number, and between what it lies."""

    value: float
    lower: float
    upper: float
    """Infinite where the samples do not bound it."""
    samples: int


def samples(outcomes: Outcomes, metric: Metric) -> int:
    """How many runs a metric is of."""
    return outcomes.requests if metric.is_rate else _moments(outcomes, metric).count


def estimate(
    outcomes: Outcomes, metric: Metric, aggregation: Aggregation, multiplier: float
) -> Estimate | None:
    """An arm's number; None where there is no sample."""
    count = samples(outcomes, metric)
    if not count:
        return None
    effect = design_effect(outcomes, metric)
    if metric.is_rate:
        return wilson(_events(outcomes, metric), count, multiplier, effect)
    if aggregation is Aggregation.P95:
        return _quantile(outcomes, multiplier, effect)
    moments = _moments(outcomes, metric)
    if metric.more_is_better:
        return _between_0_and_1(moments, multiplier, effect)
    unknown = count < 2 or (not moments.variance and count < _FEW)
    reach = math.inf if unknown else multiplier * math.sqrt(moments.variance * effect / count)
    return Estimate(moments.mean, moments.mean - reach, moments.mean + reach, count)


def difference(treatment: Estimate, control: Estimate) -> Estimate:
    """Treatment less control."""
    value = treatment.value - control.value
    return Estimate(
        value,
        value - math.hypot(treatment.value - treatment.lower, control.upper - control.value),
        value + math.hypot(treatment.upper - treatment.value, control.value - control.lower),
        min(treatment.samples, control.samples),
    )


def design_effect(outcomes: Outcomes, metric: Metric) -> float:
    """By what a metric's variance is greater than if all runs were of different units; 1 at least."""
    if metric.is_rate:
        share = _events(outcomes, metric) / outcomes.requests
        variance = share * (1 - share)
    else:
        variance = _moments(outcomes, metric).variance
    return outcomes.groups[metric].design_effect(variance)


def wilson(events: int, count: int, multiplier: float, effect: float = 1.0) -> Estimate:
    """A rate by Wilson's score interval (1927), which holds for few events and for none.

    Args:
        effect: The design effect: so many runs say as much as one that is independent of all others.
    """
    share, independent = events / count, count / effect
    square = multiplier * multiplier / independent
    centre = (share + square / 2) / (1 + square)
    spread = share * (1 - share) / independent + square / (4 * independent)
    reach = multiplier / (1 + square) * math.sqrt(spread)
    # What rounding leaves must not put the share outside of its own interval.
    return Estimate(share, max(0.0, min(centre - reach, share)), min(1.0, max(centre + reach, share)), count)


def single_look(
    treatment: Outcomes, control: Outcomes, metric: Metric, aggregation: Aggregation, alpha: float = ALPHA
) -> float:
    """The multiplier for one look at a difference: Student's t of Welch's degrees of freedom for means, else normal."""
    normal = NormalDist().inv_cdf(1 - alpha / 2)
    if metric.is_rate or metric.more_is_better or aggregation is Aggregation.P95:
        return normal
    return _student(normal, _welch(_moments(treatment, metric), _moments(control, metric)))


def sequential(information: float, tuned_to: float, alpha: float = ALPHA) -> float:
    """The multiplier whose intervals hold at all looks together.

    Args:
        information: Samples so far; of two arms, their harmonic mean, which is what a difference's variance goes by.
        tuned_to: Samples at which the intervals are to be at their narrowest for what they promise.
    """
    spread = -2 * math.log(alpha)
    seen = information / tuned_to * (spread + math.log(spread) + 1)
    return math.sqrt((1 + 1 / seen) * math.log((seen + 1) / (alpha * alpha)))


def harmonic(one: int, other: int) -> float:
    """The harmonic mean of two counts."""
    return 2 * one * other / (one + other) if one and other else 0.0


def _between_0_and_1(moments: Moments, multiplier: float, effect: float) -> Estimate:
    """Agresti's and Coull's interval (1998) for numbers from 0 to 1 rather than for shares: as many more as the
    multiplier's square, half of them 0 and half of them 1, and the spread of all. A few equal ratings are no certainty.
    """
    more = multiplier * multiplier
    independent = moments.count / effect
    count = independent + more
    mean = (independent * moments.mean + more / 2) / count
    squares = moments.squares / effect + independent * (moments.mean - mean) ** 2
    squares += more / 2 * (mean**2 + (1 - mean) ** 2)
    reach = multiplier * math.sqrt(squares) / count
    lower, upper = max(0.0, mean - reach), min(1.0, mean + reach)
    return Estimate(moments.mean, min(lower, moments.mean), max(upper, moments.mean), moments.count)


def _quantile(outcomes: Outcomes, multiplier: float, effect: float) -> Estimate:
    sketch, count = outcomes.seconds_sketch, outcomes.seconds.count
    reach = multiplier * math.sqrt(_P95 * (1 - _P95) * effect / count)
    upper = sketch.quantile(_P95 + reach) if _P95 + reach < 1 else math.inf
    return Estimate(sketch.quantile(_P95), sketch.quantile(_P95 - reach), upper, count)


def _welch(one: Moments, other: Moments) -> float:
    """Welch's and Satterthwaite's degrees of freedom; infinite where neither varies."""
    shares = [moments.variance / moments.count for moments in (one, other) if moments.count > 1]
    parts = [moments.count - 1 for moments in (one, other) if moments.count > 1]
    below = sum(share * share / part for share, part in zip(shares, parts, strict=True))
    return sum(shares) ** 2 / below if below else math.inf


def _student(normal: float, freedom: float) -> float:
    """Student's t by its expansion around the normal quantile (Abramowitz and Stegun 26.7.5); within 1 % from four
    degrees of freedom on, and too narrow below, where nobody should read anything."""
    if math.isinf(freedom):
        return normal
    z = normal
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))


def _events(outcomes: Outcomes, metric: Metric) -> int:
    if metric is Metric.ERROR_RATE:
        return outcomes.errors.total()
    return outcomes.blocks.total() if metric is Metric.BLOCK_RATE else outcomes.degraded


def _moments(outcomes: Outcomes, metric: Metric) -> Moments:
    match metric:
        case Metric.GROUNDEDNESS:
            return outcomes.groundedness
        case Metric.LATENCY:
            return outcomes.seconds
        case Metric.TOKENS:
            return outcomes.completion_tokens
        case _:
            return outcomes.feedback.values
