"""What verdicts add to the metrics."""

from dataclasses import replace

from prometheus_client import REGISTRY

from sluice_guardrail import metrics
from sluice_guardrail.domain.model import Decision, Report, ScanState, Verdict
from sluice_servicekit import telemetry_names as names


def _verdict(state: ScanState, decision: Decision, *, shadow: bool) -> Verdict:
    report = Report("counted", "1", "policy", state, 0.9, 0.5, decision, 2.0)
    return Verdict(decision, None, "", (), "counting", "1", reports=(report,), shadow=shadow)


def _count(**labels: str) -> float:
    whose = {"policy": "counting", "detector": "counted"}
    return REGISTRY.get_sample_value(names.GUARD_DECISIONS, {**whose, **labels}) or 0.0


def test_decisions_are_counted_by_what_became_of_the_detector_and_whether_the_policy_acts():
    metrics.count(_verdict(ScanState.SCANNED, Decision.BLOCK, shadow=False))
    metrics.count(_verdict(ScanState.SCANNED, Decision.BLOCK, shadow=True))
    metrics.count(_verdict(ScanState.SKIPPED, Decision.ALLOW, shadow=False))
    assert _count(mode="enforce", state="scanned", decision="block") == 1
    assert _count(mode="shadow", state="scanned", decision="block") == 1
    assert _count(mode="enforce", state="skipped", decision="allow") == 1
    assert _count(mode="enforce", state="scanned", decision="allow") == 0


def test_time_is_observed_for_each_detector_in_seconds():
    verdict = _verdict(ScanState.SCANNED, Decision.ALLOW, shadow=False)
    verdict = replace(verdict, reports=(replace(verdict.reports[0], detector="timed"),))
    name = f"{names.GUARD_DETECTOR_SECONDS}_sum"
    before = REGISTRY.get_sample_value(name, {"detector": "timed"}) or 0.0
    metrics.count(verdict)
    assert REGISTRY.get_sample_value(name, {"detector": "timed"}) == before + 0.002
