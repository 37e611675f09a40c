"""What the gateway answers of an experiment: made by its own statistics, read by the operator's client."""

import json
from collections.abc import Mapping

from sluice_api.objects.adapter_experiment import AdapterExperimentSpec
from sluice_api.snapshot import CompiledExperiment
from sluice_gateway.domain.experimenting.judging import compare, judge
from sluice_gateway.domain.experimenting.outcomes import Outcomes
from sluice_gateway.experiments import reporting
from sluice_gateway.http.experiments import report_body
from sluice_operator.outcomes.protocol import Report


def body(
    spec: AdapterExperimentSpec,
    outcomes: Mapping[str, Outcomes],
    models: Mapping[str, str],
    since: float = 0.0,
    name: str = "trial",
) -> str:
    """The answer's text."""
    compiled = CompiledExperiment(spec=spec, models=dict(models))
    found = reporting.Report(name, compiled, since, outcomes, compare(spec, outcomes), judge(spec, outcomes))
    return json.dumps(report_body(found), allow_nan=False)


def report(
    spec: AdapterExperimentSpec,
    outcomes: Mapping[str, Outcomes],
    models: Mapping[str, str],
    since: float = 0.0,
) -> Report:
    """The answer as the operator reads it."""
    return Report.model_validate_json(body(spec, outcomes, models, since))
