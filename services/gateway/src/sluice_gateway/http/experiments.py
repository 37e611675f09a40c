"""`/v1/experiments`: arms, what became of their runs, and what their difference says."""

import math
import time
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import TypeAdapter

from sluice_api.objects.base import Duration
from sluice_api.snapshot import CompiledExperiment
from sluice_gateway.domain.experimenting.comparing import Estimate
from sluice_gateway.domain.experimenting.judging import Check, Comparison, Judgement
from sluice_gateway.domain.experimenting.outcomes import Outcomes
from sluice_gateway.domain.experimenting.sketch import Moments
from sluice_gateway.experiments.reporting import Report
from sluice_gateway.http.described import described, parameter
from sluice_gateway.http.replies.experiments import ExperimentList, ExperimentReport
from sluice_gateway.http.state import of, principal
from sluice_servicekit.errors import InvalidArgument

router = APIRouter()

Json = dict[str, Any]

_WHILE: TypeAdapter[float] = TypeAdapter(Duration)


@router.get("/v1/experiments", **described("experiments", ExperimentList))
async def list_experiments(request: Request) -> Json:
    """All experiments, without what they have shown."""
    found = of(request).experiments.all(principal(request))
    return {"experiments": [_experiment(name, experiment) for name, experiment in found.items()]}


@router.get(
    "/v1/experiments/{name}",
    **described(
        "experiments",
        ExperimentReport,
        errors=(404,),
        parameters=(
            parameter(
                "since",
                "Only runs since a time, or for so long as `24h` says; rounded down to the hour.",
                type="string",
            ),
        ),
    ),
)
async def get_experiment(request: Request, name: str) -> Json:
    """One experiment with what it has shown, since a time or for a while."""
    since = _since(request.query_params.get("since", ""), time.time())
    report = await of(request).experiments.report(principal(request), name, since)
    return report_body(report)


def report_body(report: Report) -> Json:
    """A report as JSON."""
    content = _experiment(report.name, report.experiment)
    for arm in content["arms"]:
        arm["outcomes"] = _outcomes(report.outcomes[arm["name"]])
    return {
        **content,
        "since": _time(report.since) if report.since else None,
        "comparisons": [_comparison(each) for each in report.comparisons],
        **_judgement(report.judgement),
    }


def _experiment(name: str, experiment: CompiledExperiment) -> Json:
    spec = experiment.spec
    return {
        "name": name,
        "model_server": spec.model_server_ref,
        "model_name": spec.model_name,
        "unit": str(spec.unit),
        "arms": [
            {
                "name": arm.name,
                "role": str(arm.role),
                "weight": arm.weight,
                "model_name": experiment.models[arm.name],
                "resting": arm.name in experiment.resting,
            }
            for arm in spec.arms
        ],
        "promoted": experiment.promoted,
        "min_samples_per_arm": spec.min_samples_per_arm,
        "method": str(spec.verdict.method),
        "alpha": spec.verdict.alpha,
    }


def _outcomes(outcomes: Outcomes) -> Json:
    sketch = outcomes.seconds_sketch
    seconds = _moments(outcomes.seconds)
    if outcomes.seconds.count:
        seconds |= {f"p{share}": _number(sketch.quantile(share / 100)) for share in (50, 95, 99)}
    feedback = outcomes.feedback
    return {
        "requests": outcomes.requests,
        "answered": outcomes.answered,
        "degraded": outcomes.degraded,
        "cancelled": outcomes.cancelled,
        "errors": _counts(outcomes.errors),
        "blocks": _counts(outcomes.blocks),
        "groundedness": {**_moments(outcomes.groundedness), "histogram": outcomes.groundedness_bins},
        "seconds": seconds,
        "prompt_tokens": _moments(outcomes.prompt_tokens),
        "completion_tokens": _moments(outcomes.completion_tokens),
        "feedback": {**_moments(feedback.values), "up": feedback.up, "down": feedback.down},
    }


def _counts(counts: Mapping[str, int]) -> Json:
    return {"total": sum(counts.values()), "by": dict(sorted(counts.items()))}


def _moments(moments: Moments) -> Json:
    if not moments.count:
        return {"count": 0, "mean": None, "variance": None}
    return {
        "count": moments.count,
        "mean": _number(moments.mean),
        "variance": _number(moments.variance) if moments.count > 1 else None,
    }


def _comparison(comparison: Comparison) -> Json:
    return {
        "arm": comparison.arm,
        "metric": str(comparison.metric),
        "aggregation": str(comparison.aggregation),
        "better": "more" if comparison.metric.more_is_better else "less",
        "control": _estimate(comparison.control),
        "treatment": _estimate(comparison.treatment),
        "difference": _estimate(comparison.difference),
        "always_valid": _interval(comparison.always),
    }


def _judgement(judgement: Judgement) -> Json:
    return {
        "guard_metrics": [_check(check) for check in judgement.checks],
        "suggestion": {"verdict": str(judgement.suggestion), "arm": judgement.arm},
    }


def _check(check: Check) -> Json:
    return {
        "arm": check.arm,
        "metric": str(check.metric),
        "aggregation": str(check.aggregation),
        "bound": str(check.bound),
        "limit": check.limit,
        "standing": str(check.standing),
        "estimate": None if check.estimate is None else _estimate(check.estimate),
    }


def _estimate(estimate: Estimate) -> Json:
    return {
        "value": _number(estimate.value),
        "interval": _interval(estimate),
        "samples": estimate.samples,
    }


def _interval(estimate: Estimate) -> list[float | None]:
    return [_number(estimate.lower), _number(estimate.upper)]


def _number(value: float) -> float | None:
    """None for what has no bound: JSON knows no infinity."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _time(at: float) -> str:
    time = Timestamp()
    time.FromSeconds(int(at))
    return time.ToJsonString()


def _since(text: str, now: float) -> float:
    """Unix seconds of `2027-01-31T12:00:00Z`, or of so long ago as `24h` says; 0 where nothing is asked."""
    if not text:
        return 0.0
    try:
        if text[-1] in "smhd":
            return max(0.0, now - _WHILE.validate_python(text))
        time = Timestamp()
        time.FromJsonString(text)
        return max(0.0, float(time.ToSeconds()))
    except (ValueError, OverflowError):
        message = "since must be a time such as 2027-01-31T12:00:00Z or a while such as 24h"
        raise InvalidArgument(message, field="since") from None
