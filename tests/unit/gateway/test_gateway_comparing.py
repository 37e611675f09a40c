"""Two arms compared: intervals held to scipy's and to what was published, verdicts to what they promise."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sluice_api.objects.adapter_experiment import (
    AdapterExperimentSpec,
    Aggregation,
    Arm,
    GuardMetric,
    Method,
    Metric,
    Role,
    VerdictRule,
)
from sluice_gateway.domain.experimenting.comparing import (
    design_effect,
    difference,
    estimate,
    sequential,
    single_look,
    wilson,
)
from sluice_gateway.domain.experimenting.judging import Bound, Standing, Suggestion, compare, judge
from sluice_gateway.domain.experimenting.outcomes import Outcomes
from sluice_gateway.domain.model import Principal
from sluice_gateway.domain.observing import EndedRun
from sluice_gateway.domain.run import RunState

MEAN, P95, RATE = Aggregation.MEAN, Aggregation.P95, Aggregation.RATE
NORMAL = 1.959963984540054
AT_ANY_LOOK = VerdictRule()


def _outcomes(
    requests: int = 0,
    errors: int = 0,
    seconds: Any = (),
    grounded: Any = (),
    ratings: Any = (),
    blocks: int = 0,
) -> Outcomes:
    found = Outcomes(requests=max(requests, len(seconds)))
    found.errors["UNAVAILABLE"] = errors
    found.blocks["guard_output"] = blocks
    for value in seconds:
        found.seconds.add(float(value))
        found.seconds_sketch.add(float(value))
    for value in grounded:
        found.groundedness.add(float(value))
    for value in ratings:
        found.feedback.values.add(float(value))
    return found


@pytest.mark.parametrize(("events", "count"), [(0, 10), (1, 29), (15, 148), (148, 148), (50, 100)])
def test_rate_is_wilsons(events: int, count: int):
    found = wilson(events, count, NORMAL)
    exact = stats.binomtest(events, count).proportion_ci(method="wilson")
    assert (found.lower, found.upper) == pytest.approx((exact.low, exact.high), abs=1e-12)
    assert found.lower <= found.value <= found.upper


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        # Newcombe 1998, Statistics in Medicine 17:873, table II, method 10
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((6, 7), (2, 7), (0.0582, 0.8062)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((0, 10), (0, 10), (-0.2775, 0.2775)),
        ((10, 10), (0, 20), (0.6791, 1.0000)),
    ],
)
def test_difference_of_rates_is_newcombes(
    one: tuple[int, int], other: tuple[int, int], expected: tuple[float, float]
):
    found = difference(wilson(*one, NORMAL), wilson(*other, NORMAL))
    assert (found.lower, found.upper) == pytest.approx(expected, abs=6e-5)


@pytest.mark.parametrize(
    ("counts", "spread"), [((200, 40), (1, 4)), ((8, 12), (2, 1)), ((1000, 1000), (1, 1))]
)
def test_difference_of_means_is_welchs(counts: tuple[int, int], spread: tuple[int, int]):
    random_ = np.random.default_rng(3)
    one, other = (random_.normal(10, sigma, count) for count, sigma in zip(counts, spread, strict=True))
    treatment, control = _outcomes(seconds=one), _outcomes(seconds=other)
    multiplier = single_look(treatment, control, Metric.LATENCY, MEAN)
    arms = [estimate(each, Metric.LATENCY, MEAN, multiplier) for each in (treatment, control)]
    found = difference(*arms)
    exact = stats.ttest_ind(one, other, equal_var=False).confidence_interval()
    assert (found.lower, found.upper) == pytest.approx((exact.low, exact.high), rel=2e-3, abs=2e-3)


def test_quantiles_interval_holds_the_quantile_as_often_as_it_says():
    exact, held = stats.lognorm(1).ppf(0.95), 0
    random_ = np.random.default_rng(11)
    for _ in range(200):
        found = estimate(_outcomes(seconds=random_.lognormal(0, 1, 400)), Metric.LATENCY, P95, NORMAL)
        held += found.lower * 0.99 <= exact <= found.upper * 1.01
    assert held >= 184  # one in a hundred of fair intervals falls below


@pytest.mark.parametrize(("ups", "count"), [(0, 4), (7, 7), (30, 100)])
def test_ratings_of_up_and_down_have_agrestis_and_coulls_interval(ups: int, count: int):
    found = estimate(_outcomes(ratings=[1] * ups + [0] * (count - ups)), Metric.FEEDBACK, MEAN, NORMAL)
    more = NORMAL * NORMAL
    share = (ups + more / 2) / (count + more)
    reach = NORMAL * math.sqrt(share * (1 - share) / (count + more))
    expected = (min(max(0.0, share - reach), ups / count), max(min(1.0, share + reach), ups / count))
    assert (found.lower, found.upper) == pytest.approx(expected)
    assert found.upper - found.lower > 0.15


def test_groundedness_interval_narrows_with_its_own_spread_and_holds_the_mean():
    random_, held = np.random.default_rng(13), 0
    for _ in range(200):
        found = estimate(_outcomes(grounded=random_.beta(18, 2, 300)), Metric.GROUNDEDNESS, MEAN, NORMAL)
        held += found.lower <= 0.9 <= found.upper
        assert found.upper - found.lower < 0.03  # as shares they would have 0.068
    assert held >= 184


def test_nothing_is_known_where_nothing_was_seen():
    assert estimate(Outcomes(), Metric.ERROR_RATE, RATE, NORMAL) is None
    assert estimate(Outcomes(requests=5), Metric.FEEDBACK, MEAN, NORMAL) is None
    alone = estimate(_outcomes(seconds=[1.0]), Metric.LATENCY, MEAN, NORMAL)
    assert (alone.value, alone.lower, alone.upper) == (1.0, -math.inf, math.inf)
    same = estimate(_outcomes(seconds=[1.0] * 5), Metric.LATENCY, MEAN, NORMAL)
    assert (same.lower, same.upper) == (-math.inf, math.inf)
    few = estimate(_outcomes(seconds=[1.0] * 20), Metric.LATENCY, P95, NORMAL)
    assert few.upper == math.inf  # twenty runs do not bound the slowest twentieth


def test_sequence_is_wider_than_a_single_look_and_narrowest_where_it_was_tuned():
    assert sequential(1000, 1000) == pytest.approx(3.035, abs=5e-3)

    def width(count: float, tuned: float) -> float:
        return sequential(count, tuned) / math.sqrt(count)

    assert all(width(1000, 1000) < width(1000, tuned) for tuned in (100, 300, 3000, 10_000))
    widths = [width(count, 1000) for count in (10, 100, 1000, 10_000, 100_000)]
    assert widths == sorted(widths, reverse=True)
    assert sequential(1000, 1000, 0.05 / 8) > sequential(1000, 1000)


def _spec(
    *guards: GuardMetric,
    least: int = 100,
    treatments: tuple[str, ...] = ("new",),
    verdict: VerdictRule = AT_ANY_LOOK,
) -> AdapterExperimentSpec:
    share = 50 // len(treatments)
    arms = [Arm(name=name, role=Role.TREATMENT, weight=share, adapter_ref="r2") for name in treatments]
    control = Arm(name="base", role=Role.CONTROL, weight=100 - share * len(treatments))
    return AdapterExperimentSpec(
        model_server_ref="m",
        model_name="support",
        arms=(control, *arms),
        guard_metrics=guards,
        min_samples_per_arm=least,
        verdict=verdict,
    )


ERRORS = GuardMetric(metric=Metric.ERROR_RATE, aggregation=RATE, max=0.05)
SLOWER = GuardMetric(metric=Metric.LATENCY, aggregation=P95, min_delta=-0.5)
GROUNDED = GuardMetric(metric=Metric.GROUNDEDNESS, min_delta=-0.05)
LIKED = GuardMetric(metric=Metric.FEEDBACK, min_delta=0.1)


def test_bound_that_is_surely_broken_is_a_breach():
    found = judge(_spec(ERRORS), {"base": _outcomes(1000, 10), "new": _outcomes(1000, 200)})
    assert (found.suggestion, found.arm) == (Suggestion.BREACH, "new")
    [check] = found.checks
    assert (check.bound, check.limit, check.standing) == (Bound.MAX, 0.05, Standing.BROKEN)
    assert check.estimate.value == 0.2


def test_bound_within_the_interval_decides_nothing():
    found = judge(_spec(ERRORS), {"base": _outcomes(1000, 10), "new": _outcomes(1000, 60)})
    assert (found.suggestion, found.checks[0].standing) == (Suggestion.CONTINUE, Standing.OPEN)


def test_success_needs_every_bound_met():
    random_ = np.random.default_rng(5)
    good = {
        "requests": 4000,
        "seconds": random_.lognormal(0, 0.2, 4000),
        "grounded": random_.uniform(0.8, 1.0, 4000),
        "ratings": random_.choice([0, 1], 1500, p=[0.5, 0.5]),
    }
    liked = {**good, "ratings": random_.choice([0, 1], 1500, p=[0.1, 0.9])}
    spec = _spec(ERRORS, SLOWER, GROUNDED, LIKED)
    found = judge(spec, {"base": _outcomes(**good), "new": _outcomes(**liked)})
    assert [check.standing for check in found.checks] == [Standing.MET] * 4
    assert (found.suggestion, found.arm) == (Suggestion.SUCCESS, "new")
    found = judge(
        spec, {"base": _outcomes(**good), "new": _outcomes(**{**liked, "ratings": good["ratings"]})}
    )
    assert found.suggestion is Suggestion.BREACH  # no better liked than control, and surely not by a tenth
    found = judge(spec, {"base": _outcomes(**good), "new": _outcomes(**{**liked, "ratings": []})})
    assert (found.suggestion, found.checks[3].standing) == (Suggestion.CONTINUE, Standing.TOO_FEW)
    assert found.checks[3].estimate is None


def test_gain_is_less_of_what_is_bad_and_more_of_what_is_good():
    quick, slow = np.full(1000, 1.0), np.full(1000, 2.0)
    for guard, worse, better in (
        (GuardMetric(metric=Metric.LATENCY, min_delta=0), {"seconds": slow}, {"seconds": quick}),
        (
            GuardMetric(metric=Metric.GROUNDEDNESS, min_delta=0),
            {"grounded": quick / 4},
            {"grounded": quick / 2},
        ),
        (GuardMetric(metric=Metric.BLOCK_RATE, min_delta=0), {"blocks": 500}, {"blocks": 100}),
    ):
        arms = [_outcomes(1000, **each) for each in (worse, better)]
        spec = _spec(guard)
        assert judge(spec, {"base": arms[0], "new": arms[1]}).suggestion is Suggestion.SUCCESS
        assert judge(spec, {"base": arms[1], "new": arms[0]}).suggestion is Suggestion.BREACH


def test_with_few_samples_nothing_has_won_and_only_what_is_surely_bad_has_lost():
    spec = _spec(ERRORS, GuardMetric(metric=Metric.BLOCK_RATE, min_delta=-0.1), least=1000)

    def standings(base: Outcomes, new: Outcomes) -> tuple[Suggestion, list[Standing]]:
        found = judge(spec, {"base": base, "new": new})
        return found.suggestion, [check.standing for check in found.checks]

    few = [Standing.TOO_FEW] * 2
    assert standings(_outcomes(999), _outcomes(50_000)) == (Suggestion.CONTINUE, few)
    assert standings(_outcomes(1000), _outcomes(50_000)) == (Suggestion.SUCCESS, [Standing.MET] * 2)
    assert standings(_outcomes(), _outcomes()) == (Suggestion.CONTINUE, few)
    assert standings(_outcomes(40), _outcomes(29, 29)) == (Suggestion.CONTINUE, few)
    assert standings(_outcomes(40), _outcomes(40, 40)) == (
        Suggestion.BREACH,
        [Standing.BROKEN, Standing.TOO_FEW],
    )
    assert standings(_outcomes(40), _outcomes(40, 6)) == (Suggestion.CONTINUE, few)
    assert standings(_outcomes(60), _outcomes(60, blocks=60))[1] == [Standing.TOO_FEW, Standing.BROKEN]


def test_one_treatment_may_win_while_another_is_open_and_none_may_break():
    arms = {"base": _outcomes(3000), "one": _outcomes(3000, 130), "two": _outcomes(3000, 3)}
    spec = _spec(ERRORS, treatments=("one", "two"))
    assert (judge(spec, arms).suggestion, judge(spec, arms).arm) == (Suggestion.SUCCESS, "two")
    arms["one"] = _outcomes(3000, 600)
    assert (judge(spec, arms).suggestion, judge(spec, arms).arm) == (Suggestion.BREACH, "one")


def test_without_guard_metrics_nothing_is_suggested():
    arms = {"base": _outcomes(3000), "new": _outcomes(3000, 3000)}
    assert judge(_spec(), arms).suggestion is Suggestion.CONTINUE


def test_comparison_has_every_metric_that_both_arms_have():
    arms = {
        "base": _outcomes(10, 1, seconds=[1.0] * 9),
        "new": _outcomes(10, 3, seconds=[2.0] * 7, ratings=[1]),
    }
    found = {(each.metric, each.aggregation): each for each in compare(_spec(), arms)}
    assert set(found) == {
        (Metric.ERROR_RATE, RATE),
        (Metric.BLOCK_RATE, RATE),
        (Metric.DEGRADED_RATE, RATE),
        (Metric.LATENCY, MEAN),
        (Metric.LATENCY, P95),
    }
    errors = found[Metric.ERROR_RATE, RATE]
    assert errors.difference.value == errors.always.value == pytest.approx(0.2)
    assert errors.always.lower < errors.difference.lower < 0.2 < errors.difference.upper < errors.always.upper


def _outcomes_of_users(random_: np.random.Generator, users: int, runs: int) -> Outcomes:
    """Each user has a failure rate, a speed and a taste of their own, and asks as often as the others."""
    found = Outcomes()
    for bucket in random_.integers(0, 10_000, users):
        failing, speed, taste = random_.beta(0.5, 2), random_.lognormal(0, 1), random_.beta(2, 1)
        for failed, seconds in zip(
            random_.random(runs) < failing, random_.lognormal(0, 0.2, runs), strict=True
        ):
            state = RunState.FAILED if failed else RunState.ANSWERED
            reason = "generate: UNAVAILABLE" if failed else ""
            found.add(
                EndedRun(
                    *("run", Principal("acme"), "default", "1", state, reason, float(seconds * speed)),
                    groundedness=float(taste),
                    unit_bucket=int(bucket),
                )
            )
    return found


def test_many_runs_of_few_users_are_no_more_certain_than_the_users():
    random_ = np.random.default_rng(17)
    metrics = (Metric.ERROR_RATE, Metric.LATENCY, Metric.GROUNDEDNESS)
    told_apart, as_if_independent = Counter[Metric](), Counter[Metric]()
    for _ in range(60):
        arms = [_outcomes_of_users(random_, 60, 20) for _ in range(2)]
        for seen in (told_apart, as_if_independent):
            for metric in metrics:
                found = difference(*(estimate(arm, metric, MEAN, NORMAL) for arm in arms))
                seen[metric] += found.lower > 0 or found.upper < 0
                for arm in arms:
                    arm.groups[metric].sums.clear()
    # Of sixty pairs of equal arms 3 at 5 %, and what chance adds in one of a hundred.
    assert all(told_apart[metric] <= 8 for metric in metrics)
    assert all(as_if_independent[metric] > 20 for metric in metrics)


def test_runs_of_as_many_users_lose_little():
    random_ = np.random.default_rng(19)
    effects = [design_effect(_outcomes_of_users(random_, 2000, 1), Metric.LATENCY) for _ in range(20)]
    assert 1.0 <= np.mean(effects) < 1.35


def test_runs_of_one_unit_are_one_run():
    alone = _outcomes_of_users(np.random.default_rng(23), 1, 500)
    assert design_effect(alone, Metric.ERROR_RATE) == 500
    found = estimate(alone, Metric.ERROR_RATE, RATE, NORMAL)
    assert found.upper - found.lower > 0.6


def _false_alarm(random_: np.random.Generator, *, always: bool) -> bool:
    """True where two equal arms are told apart at any of forty looks."""
    events = np.cumsum(random_.binomial(100, 0.1, (40, 2)), axis=0)
    for look, pair in enumerate(events, 1):
        multiplier = sequential(100 * look, 1000) if always else NORMAL
        found = difference(*(wilson(int(each), 100 * look, multiplier) for each in pair))
        if found.lower > 0 or found.upper < 0:
            return True
    return False


def test_looking_again_and_again_does_not_make_a_difference():
    random_ = np.random.default_rng(20)
    always = sum(_false_alarm(random_, always=True) for _ in range(400))
    once = sum(_false_alarm(random_, always=False) for _ in range(400))
    assert always <= 30  # 5 % of 400, and what chance adds in one of a hundred
    assert once > 80  # what a single look's interval would have cost


def test_one_look_goes_by_the_narrower_interval_and_says_nothing_before():
    arms = {"base": _outcomes(1000, 10), "new": _outcomes(1000, 70)}
    once = VerdictRule(method=Method.FIXED_SAMPLE)
    assert judge(_spec(ERRORS), arms).suggestion is Suggestion.CONTINUE
    found = judge(_spec(ERRORS, verdict=once), arms)
    exact = wilson(70, 1000, NORMAL)
    assert found.suggestion is Suggestion.BREACH
    assert (found.checks[0].estimate.lower, found.checks[0].estimate.upper) == pytest.approx(
        (exact.lower, exact.upper)
    )
    early = judge(
        _spec(ERRORS, least=1001, verdict=once), {"base": _outcomes(1000), "new": _outcomes(1000, 1000)}
    )
    assert (early.suggestion, early.checks[0].standing) == (Suggestion.CONTINUE, Standing.TOO_FEW)


@pytest.mark.parametrize("method", Method)
def test_stated_error_rate_is_what_intervals_go_by(method: Method):
    arms = {"base": _outcomes(1000, 10), "new": _outcomes(1000, 60, seconds=[1.0, 2.0] * 400)}
    arms["base"].seconds.merge(arms["new"].seconds)
    arms["base"].seconds_sketch.merge(arms["new"].seconds_sketch.bins)

    def widths(alpha: float) -> list[float]:
        spec = _spec(ERRORS, SLOWER, GROUNDED, verdict=VerdictRule(method=method, alpha=alpha))
        estimates = [check.estimate for check in judge(spec, arms).checks[:2]]
        shown = [each for found in compare(spec, arms) for each in (found.difference, found.always)]
        return [each.upper - each.lower for each in (*estimates, *shown) if each.upper > each.lower]

    sure, surer = widths(0.05), widths(0.001)
    assert len(sure) == len(surer) > 8
    assert all(wide > narrow for wide, narrow in zip(surer, sure, strict=True))
