"""One detector over the subjects of a check: what it finds, and what the policy makes of it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from sluice_api.objects.guardrail_policy import Action
from sluice_api.objects.guardrail_policy import Detector as DetectorSpec
from sluice_guardrail.domain.classifying.allowance import Allowance
from sluice_guardrail.domain.detectors import Detector, TimedDetector
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
        detections = [self.detector.detect(subject) for _, subject in subjects]
        return self._outcome([index for index, _ in subjects], detections, started)

    def _outcome(self, segments: Sequence[int], detections: Sequence[Detection], started: float) -> "Outcome":
        judged = [
            self._judged(finding, segment)
            for segment, detection in zip(segments, detections, strict=True)
            for finding in detection.findings
        ]
        scores = {segment: each.score for segment, each in zip(segments, detections, strict=True)}
        milliseconds = (time.perf_counter() - started) * 1000
        report = self._report(detections, judged, milliseconds)
        return Outcome(tuple(judged), report, blocks=self.spec.action is Action.BLOCK, scores=scores)

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
class TimedCheck(Check[Subject]):
    """A check that may not be finished in time, and is not begun where a block is certain."""

    detector: TimedDetector[Subject]

    def run_within(
        self, subjects: Sequence[tuple[int, Subject]], allowance: Allowance, before: Sequence["Outcome"]
    ) -> "Outcome":
        """Runs over subjects after other checks, in the time they all share."""
        started = time.perf_counter()
        if not allowance.each and any(outcome.report.decision is Decision.BLOCK for outcome in before):
            skipped = Detection((), 0.0, ScanState.SKIPPED, "a block was certain")
            detections: Sequence[Detection] = [skipped] * len(subjects)
        else:
            detections = self.detector.detect_within([subject for _, subject in subjects], allowance)
        return self._outcome([index for index, _ in subjects], detections, started)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check came to."""

    judged: tuple[Judged, ...]
    report: Report
    blocks: bool
    """The detector's action is to block."""
    scores: Mapping[int, float] = field(default_factory=dict)
    """The detector's score for each segment or passage."""

    def until(self, end: int) -> "Outcome":
        """Without what begins at `end` or behind it."""
        return replace(self, judged=tuple(each for each in self.judged if each.finding.span.start < end))


_SEVERITY = {ScanState.SCANNED: 0, ScanState.SKIPPED: 1, ScanState.PARTIAL: 2, ScanState.FAILED: 3}


def check(
    detector: Detector[Subject], spec: DetectorSpec, reason: Reason, threshold_set: str = "policy"
) -> list[Check[Subject]]:
    """The check, or none: a detector whose action is `allow` does not run."""
    return [] if spec.action is Action.ALLOW else [Check(detector, spec, reason, threshold_set)]
