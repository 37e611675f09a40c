"""What all checks together come to: one decision, its reason, and whether the policy acts on it. Pure."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from sluice_api.objects.guardrail_policy import Mode, OnError
from sluice_guardrail.domain.checks import Policy
from sluice_guardrail.domain.judging import Outcome
from sluice_guardrail.domain.messages import message_for
from sluice_guardrail.domain.model import (
    Decision,
    Finding,
    Gate,
    Judged,
    Reason,
    Report,
    ScanState,
    Span,
    Verdict,
)

_UNSEEN = frozenset({ScanState.PARTIAL, ScanState.FAILED})
#: Findings of one detector in one text that are reported, the strictest; all of them are acted on.
_REPORTED = 32


def decided(
    policy: Policy, outcomes: Sequence[Outcome], gate: Gate, started: float, before: Verdict | None = None
) -> Verdict:
    """The verdict.

    Args:
        started: When the check began, by `time.perf_counter`.
        before: A verdict that this one includes.
    """
    judged = [each for outcome in outcomes for each in outcome.judged]
    reports = [outcome.report for outcome in outcomes]
    if before is not None:
        judged += before.findings
        reports = [*before.reports, *reports]
    partial = any(report.state in _UNSEEN for report in reports)
    ranked = sorted(judged, key=lambda found: (-found.decision, -found.finding.score))
    findings = tuple(_reported(ranked))
    would = max((found.decision for found in findings), default=Decision.ALLOW)
    reason = findings[0].reason if would is not Decision.ALLOW else None
    open_ = any(report.state in _UNSEEN and not report.settled for report in reports)
    if open_ and would < (unseen := _unseen(policy)):
        would, reason = unseen, Reason.NOT_SCANNED
    shadow = policy.spec.mode is Mode.SHADOW
    decision = Decision.ALLOW if shadow else would
    message = ""
    if reason is not None and not shadow:
        blocked = decision is Decision.BLOCK
        message = (policy.spec.block_message if blocked else "") or message_for(
            reason, policy.spec, gate, decision
        )
    return Verdict(
        decision,
        reason,
        message,
        findings,
        policy.name,
        policy.version,
        partial=partial,
        reports=tuple(reports),
        shadow=shadow,
        would=would,
        score=_score(outcomes, before),
        milliseconds=(time.perf_counter() - started) * 1000,
        redactions=_redactions(outcomes) if not shadow and would is not Decision.BLOCK else (),
    )


def too_long(policy: Policy, reason: Reason, size: int, gate: Gate) -> Verdict:
    """The verdict on what is longer than can be scanned."""
    span = Span(0, min(size, 0xFFFFFFFF))
    finding = Judged(Finding("length", 1.0, span), "length", "1", 1.0, Decision.BLOCK, reason)
    report = Report("length", "1", "policy", ScanState.PARTIAL, 1.0, 1.0, Decision.BLOCK, 0.0)
    return decided(policy, [Outcome((finding,), report, blocks=True)], gate, time.perf_counter())


def _reported(ranked: Iterable[Judged]) -> Iterator[Judged]:
    """The first of each detector in each text."""
    seen: Counter[tuple[str, int]] = Counter()
    for judged in ranked:
        place = judged.detector, judged.segment
        seen[place] += 1
        if seen[place] <= _REPORTED:
            yield judged


def _redactions(outcomes: Iterable[Outcome]) -> tuple[Judged, ...]:
    return tuple(
        judged for outcome in outcomes for judged in outcome.judged if judged.decision is Decision.REDACT
    )


def _unseen(policy: Policy) -> Decision:
    return Decision.BLOCK if policy.spec.on_partial is OnError.DENY else Decision.FLAG


def _score(outcomes: Sequence[Outcome], before: Verdict | None) -> float:
    """How near it comes to a block."""
    blocking = [outcome.report.score for outcome in outcomes if outcome.blocks]
    scores = blocking or [outcome.report.score for outcome in outcomes]
    return max([*scores, before.score if before is not None else 0.0], default=0.0)
