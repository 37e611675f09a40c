"""Experiments and what they have shown, as messages. Converts only."""

import re

from sluice.gateway.v1 import gateway_pb2
from sluice_api.snapshot import CompiledExperiment
from sluice_gateway.domain.experimenting.comparing import Estimate
from sluice_gateway.domain.experimenting.judging import Suggestion
from sluice_gateway.domain.experimenting.outcomes import Outcomes
from sluice_gateway.domain.experimenting.sketch import Moments
from sluice_gateway.experiments.feedback import Opinion
from sluice_gateway.experiments.reporting import Report
from sluice_servicekit.errors import InvalidArgument

_SUGGESTIONS = {
    suggestion: gateway_pb2.ExperimentSuggestion.Value(f"EXPERIMENT_SUGGESTION_{suggestion.name}")
    for suggestion in Suggestion
}
_LABEL = re.compile(r"[a-z0-9][a-z0-9_.-]{0,31}")
_MOST_LABELS = 8
_LONGEST_COMMENT = 4096


def opinion(message: gateway_pb2.SubmitFeedbackRequest) -> Opinion:
    """An opinion on a run.

    Raises:
        InvalidArgument: a field is wrong.
    """
    if not 0 <= message.rating <= 1:
        raise InvalidArgument("rating must be 0 to 1", field="rating")
    if len(message.comment) > _LONGEST_COMMENT:
        raise InvalidArgument(f"comment must have {_LONGEST_COMMENT} characters at most", field="comment")
    if len(message.labels) > _MOST_LABELS:
        raise InvalidArgument(f"there may be {_MOST_LABELS} labels at most", field="labels")
    for index, label in enumerate(message.labels):
        if not _LABEL.fullmatch(label):
            raise InvalidArgument("a label is 1 to 32 of a-z 0-9 _ . -", field=f"labels[{index}]")
    return Opinion(message.rating, message.comment, tuple(dict.fromkeys(message.labels)))


def experiment(name: str, found: CompiledExperiment) -> gateway_pb2.GetExperimentResponse:
    """An experiment as it is in force."""
    spec = found.spec
    return gateway_pb2.GetExperimentResponse(
        name=name,
        model_server=spec.model_server_ref,
        model_name=spec.model_name,
        unit=spec.unit,
        promoted=found.promoted,
        arms=[
            gateway_pb2.ExperimentArm(
                name=arm.name,
                role=arm.role,
                weight=arm.weight,
                model_name=found.models[arm.name],
                resting=arm.name in found.resting,
            )
            for arm in spec.arms
        ],
    )


def outcomes(report: Report) -> gateway_pb2.GetOutcomesResponse:
    """What an experiment has shown."""
    return gateway_pb2.GetOutcomesResponse(
        arms=[_arm(arm.name, report.outcomes[arm.name]) for arm in report.experiment.spec.arms],
        comparisons=[
            gateway_pb2.ArmComparison(
                arm=each.arm,
                metric=each.metric,
                aggregation=each.aggregation,
                control=_estimate(each.control),
                treatment=_estimate(each.treatment),
                difference=_estimate(each.difference),
                always_valid=_estimate(each.always),
            )
            for each in report.comparisons
        ],
        guard_metrics=[
            gateway_pb2.GuardMetricCheck(
                arm=check.arm,
                metric=check.metric,
                aggregation=check.aggregation,
                bound=check.bound,
                limit=check.limit,
                standing=check.standing,
                estimate=None if check.estimate is None else _estimate(check.estimate),
            )
            for check in report.judgement.checks
        ],
        suggestion=_SUGGESTIONS[report.judgement.suggestion],
        suggested_arm=report.judgement.arm,
    )


def _arm(name: str, found: Outcomes) -> gateway_pb2.ArmOutcomes:
    sketch = found.seconds_sketch
    return gateway_pb2.ArmOutcomes(
        arm=name,
        requests=found.requests,
        answered=found.answered,
        degraded=found.degraded,
        cancelled=found.cancelled,
        errors=found.errors,
        blocks=found.blocks,
        groundedness=_moments(found.groundedness),
        groundedness_histogram=found.groundedness_bins,
        seconds=_moments(found.seconds),
        seconds_p50=sketch.quantile(0.5),
        seconds_p95=sketch.quantile(0.95),
        seconds_p99=sketch.quantile(0.99),
        prompt_tokens=_moments(found.prompt_tokens),
        completion_tokens=_moments(found.completion_tokens),
        feedback=_moments(found.feedback.values),
        feedback_up=found.feedback.up,
        feedback_down=found.feedback.down,
    )


def _moments(moments: Moments) -> gateway_pb2.SampleMoments:
    return gateway_pb2.SampleMoments(count=moments.count, mean=moments.mean, variance=moments.variance)


def _estimate(estimate: Estimate) -> gateway_pb2.IntervalEstimate:
    return gateway_pb2.IntervalEstimate(
        value=estimate.value, lower=estimate.lower, upper=estimate.upper, samples=estimate.samples
    )
