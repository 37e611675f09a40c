"""What verdicts add to the metrics."""

from prometheus_client import Counter, Histogram

from sluice_guardrail.domain.model import Reason, Verdict
from sluice_servicekit import telemetry_names as names

_FINDINGS = Counter(
    names.GUARD_FINDINGS, "What detectors found", ("policy", "detector", "category", "decision")
)
#: With the state, since a detector that was skipped has decided nothing.
_DECISIONS = Counter(
    names.GUARD_DECISIONS,
    "What detectors decided, acted on or only recorded",
    ("policy", "detector", "mode", "state", "decision"),
)
_SECONDS = Histogram(
    names.GUARD_DETECTOR_SECONDS,
    "Time of a detector in one check",
    ("detector",),
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
)


def count(verdict: Verdict) -> None:
    """Counts what a verdict's detectors found and decided, and how long they took."""
    for judged in verdict.findings:
        # A module may say any word; each would be a series of its own.
        category = "policy" if judged.reason is Reason.POLICY else judged.finding.category
        _FINDINGS.labels(verdict.policy, judged.detector, category, judged.decision.name.lower()).inc()
    mode = "shadow" if verdict.shadow else "enforce"
    for report in verdict.reports:
        _DECISIONS.labels(
            verdict.policy, report.detector, mode, report.state, report.decision.name.lower()
        ).inc()
        _SECONDS.labels(report.detector).observe(report.milliseconds / 1000)
