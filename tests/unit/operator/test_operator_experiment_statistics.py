"""How often verdicts are wrong: experiments made up, judged by the gateway's statistics, decided by the operator."""

from collections import Counter
from functools import partial

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
from sluice_api.statuses.adapter_experiment import Decision, Verdict
from sluice_gateway.domain.experimenting.judging import Suggestion, judge
from sluice_gateway.domain.experimenting.outcomes import Outcomes
from sluice_operator.kinds.adapter_experiment.arms import ArmView
from sluice_operator.kinds.adapter_experiment.context import Look
from sluice_operator.kinds.adapter_experiment.trial import Trial
from sluice_operator.kinds.adapter_experiment.verdicts import decide
from support.experiment_reports import report

EXPERIMENTS = 200
LOOKS, RUNS_PER_LOOK = 25, 80
MODELS = {"base": "", "new": "new--1"}
NO_WORSE = GuardMetric(metric=Metric.ERROR_RATE, aggregation=Aggregation.RATE, min_delta=0.0)


def _spec(method: Method, alpha: float = 0.05, least: int = 400) -> AdapterExperimentSpec:
    return AdapterExperimentSpec(
        model_server_ref="m",
        model_name="support",
        arms=(
            Arm(name="base", role=Role.CONTROL, weight=50),
            Arm(name="new", role=Role.TREATMENT, weight=50, adapter_ref="new"),
        ),
        guard_metrics=(NO_WORSE,),
        min_samples_per_arm=least,
        verdict=VerdictRule(method=method, alpha=alpha),
    )


def _views(spec: AdapterExperimentSpec) -> tuple[ArmView, ...]:
    return tuple(ArmView(arm, None, MODELS[arm.name], ready=True) for arm in spec.arms)


def _looks(random: np.random.Generator, base: float, new: float) -> list[dict[str, Outcomes]]:
    """By arm, what there is at each look; the arms fail so often."""
    failed = np.cumsum(random.binomial(RUNS_PER_LOOK, (base, new), (LOOKS, 2)), axis=0)
    return [
        {
            arm: Outcomes(requests=number * RUNS_PER_LOOK, errors=Counter(UNAVAILABLE=int(count)))
            for arm, count in zip(MODELS, counts, strict=True)
        }
        for number, counts in enumerate(failed, 1)
    ]


def _verdict(
    spec: AdapterExperimentSpec, random: np.random.Generator, base: float, new: float
) -> Verdict | None:
    """What the operator makes of an experiment that it looks at often."""
    trial, views = Trial(id="q.v", since=0.0), _views(spec)
    for number, outcomes in enumerate(_looks(random, base, new)):
        look = Look(at=60.0 * number, since=0.0, report=report(spec, outcomes, MODELS))
        found = decide(spec, views, trial, look)
        if found is not None:
            return found
    return None


def _most(share: float, count: int = EXPERIMENTS) -> int:
    """Wrong ones that chance alone exceeds in one of a hundred runs of this test."""
    return int(stats.binom.ppf(0.99, count, share))


@pytest.mark.parametrize(("alpha", "count"), [(0.05, EXPERIMENTS), (0.2, EXPERIMENTS // 4)])
@pytest.mark.parametrize("method", Method)
def test_equal_arms_are_told_apart_no_more_often_than_stated(
    method: Method, alpha: float, count: int
) -> None:
    verdict = partial(_verdict, _spec(method, alpha))
    random = np.random.default_rng(7)
    found = Counter(made.decision if (made := verdict(random, 0.1, 0.1)) else None for _ in range(count))
    assert found[Decision.SUCCESS] + found[Decision.BREACH] <= _most(alpha, count)
    if method is Method.FIXED_SAMPLE:
        assert found[None] == 0  # it has looked once, and says so
        assert found[Decision.INCONCLUSIVE] >= count - _most(alpha, count)


def test_looking_often_at_intervals_of_one_look_would_break_the_promise() -> None:
    spec = _spec(Method.FIXED_SAMPLE, least=RUNS_PER_LOOK)
    random = np.random.default_rng(7)
    wrong = sum(
        any(
            judge(spec, outcomes).suggestion is not Suggestion.CONTINUE
            for outcomes in _looks(random, 0.1, 0.1)
        )
        for _ in range(EXPERIMENTS)
    )
    assert wrong > 2 * _most(0.05)


@pytest.mark.parametrize(("method", "least"), [(Method.SEQUENTIAL, 40), (Method.FIXED_SAMPLE, 35)])
def test_arm_that_is_better_or_worse_is_found(method: Method, least: int) -> None:
    spec, random = _spec(method), np.random.default_rng(11)
    better = Counter(_verdict(spec, random, 0.2, 0.12) for _ in range(50))
    worse = Counter(_verdict(spec, random, 0.12, 0.2) for _ in range(50))
    for found, right in ((better, Decision.SUCCESS), (worse, Decision.BREACH)):
        decisions = Counter(made.decision if made else None for made in found)
        wrong = {Decision.SUCCESS, Decision.BREACH} - {right}
        assert decisions[right] >= least
        assert not any(decisions[each] for each in wrong)
