"""One detector over the subjects of a check: what it finds, and what the policy makes of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sluice_api.objects.guardrail_policy import Action
from sluice_api.objects.guardrail_policy import Detector as DetectorSpec
from sluice_guardrail.domain.detectors import Detector
from sluice_guardrail.domain.model import Decision, Detection, Finding, Judged, Reason, Report, ScanState

Subject = TypeVar("Subject")

DECISIONS = {
    Action.ALLOW: Decision.ALLOW,
    Action.FLAG: Decision.FLAG,
    Action.REDACT: Decision.REDACT,
    Action.BLOCK: Decision.BLOCK,
}


@dataclass(frozen=True, slots=True)
class Check(Generic[Subject]):
    """A detector, and a policy's words about it."""

    detector: Detector[Subject]
    spec: DetectorSpec
    reason: Reason
    threshold_set: str = "policy"
    """Which thresholds and calibration its scores go by."""

    def run(self, subjects: Sequence[tuple[int, Subject]]) -> "Outcome":
        """Runs over subjects, each with the segment or passage it is."""
        started = time.perf_counter()
        judged: list[Judged] = []
        detections: list[Detection] = []
        for index, subject in subjects:
            detection = self.detector.detect(subject)
            detections.append(detection)
            judged += (self._judged(finding, index) for finding in detection.findings)
        milliseconds = (time.perf_counter() - started) * 1000
        report = self._report(detections, judged, milliseconds)
        return Outcome(tuple(judged), report, blocks=self.spec.action is Action.BLOCK)

    def decide(self, finding: Finding) -> Decision:
        """What the policy makes of a finding."""
        if finding.score >= self.threshold(finding):
            return DECISIONS[self.spec.action]
        flagged = self.spec.flag_threshold is not None and finding.score >= self.spec.flag_threshold
        return Decision.FLAG if flagged else Decision.ALLOW

    def threshold(self, finding: Finding) -> float:
        """The score from which the action is taken; some detectors have one for each category."""
        own: dict[str, float] = getattr(self.spec, "thresholds", {})
        return own.get(finding.category, self.spec.threshold)

    def _judged(self, finding: Finding, segment: int) -> Judged:
        return Judged(
            finding,
            self.detector.name,
            self.detector.version,
            self.threshold(finding),
            self.decide(finding),
            self.reason,
            segment if finding.segment is None else finding.segment,
        )

    def _report(
        self, detections: Sequence[Detection], judged: Sequence[Judged], milliseconds: float
    ) -> Report:
        worst = max(detections, key=lambda each: _SEVERITY[each.state], default=Detection((), 0.0))
        return Report(
            self.detector.name,
            self.detector.version,
            self.threshold_set,
            worst.state,
            max((detection.score for detection in detections), default=0.0),
            self.spec.threshold,
            max((each.decision for each in judged), default=Decision.ALLOW),
            milliseconds,
            worst.detail,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check came to."""

    judged: tuple[Judged, ...]
    report: Report
    blocks: bool
    """The detector's action is to block."""


_SEVERITY = {ScanState.SCANNED: 0, ScanState.SKIPPED: 1, ScanState.PARTIAL: 2, ScanState.FAILED: 3}


def check(
    detector: Detector[Subject], spec: DetectorSpec, reason: Reason, threshold_set: str = "policy"
) -> list[Check[Subject]]:
    """The check, or none: a detector whose action is `allow` does not run."""
    return [] if spec.action is Action.ALLOW else [Check(detector, spec, reason, threshold_set)]
