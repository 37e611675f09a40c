"""Group `models`, the rankers that pipelines name: does each of them rank a passage?"""

import json
from functools import partial

from sluice_api.objects.ranker import Ranker
from sluice_cli.diagnosing import probing
from sluice_cli.diagnosing.findings import Check, Finding, failed, ok
from sluice_cli.diagnosing.probing import Probe
from sluice_cli.diagnosing.subject import Subject

GROUP = "models"

_CHECK = "sluice_reranker.check"
#: Seconds for loading a model, making it one of 8-bit integers where it is none, and ranking.
_SECONDS = 120.0


def checks(subject: Subject) -> list[Check]:
    """What to look at: nothing where pipelines leave ranking to what is embedded."""
    if subject.snapshot is None:
        return []
    rankers = {
        name: pipeline.spec.steps.rerank.ranker
        for name, pipeline in sorted(subject.snapshot.pipelines.items())
    }
    return [
        Check(GROUP, f"ranker of {name}", partial(_look, subject, name, ranker))
        for name, ranker in rankers.items()
        if not ranker.is_embedded
    ]


def judge(pipeline: str, probe: Probe) -> Finding:
    """From the line that the reranker's own check has printed."""
    check = f"ranker of {pipeline}"
    line = next((line for line in probe.output.splitlines() if line.startswith("{")), "")
    if not line:
        remedy = (
            "look again when the machine is less busy" if probe.code is None else "see the packages above"
        )
        return failed(check, f"its check {probe.end}", remedy)
    found = json.loads(line)
    if "problem" in found:
        remedy = f"do so, or change spec.steps.rerank.ranker of Pipeline/{pipeline}"
        return failed(check, str(found["problem"]), remedy)
    return ok(check, f"{found['model']} ranks a passage in {found['seconds'] * 1000:.0f} ms")


def _look(subject: Subject, pipeline: str, ranker: Ranker) -> list[Finding]:
    return [
        judge(
            pipeline,
            probing.python_module(
                _CHECK,
                [ranker.model_dump_json(by_alias=True)],
                seconds=_SECONDS,
                environment=subject.environments["reranker"].variables,
            ),
        )
    ]
