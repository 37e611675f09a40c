"""Writes a run's events: one place that knows what an event carries, and that it never carries content."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sluice_api.objects.pipeline import Audit
from sluice_gateway.domain.clock import Clock
from sluice_gateway.domain.model import Finish, Passage, Report, ScreenedPassages, Usage, Verdict
from sluice_gateway.domain.run import Event, EventKind, RunState, StepState
from sluice_gateway.journal.port import Journal
from sluice_servicekit.errors import ServiceError

Detail = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Recorder:
    """Records one run."""

    journal: Journal
    clock: Clock
    run_id: str
    tenant: str
    pipeline: str
    audit: Audit

    def run_started(self, question: str, detail: Detail) -> None:
        """Records the start; refuses the run where a required journal is full."""
        self._append(
            EventKind.RUN_STARTED, state=RunState.RUNNING, detail=detail, input_hash=digest(question)
        )

    def run_ended(
        self, state: RunState, reason: str = "", text: str = "", detail: Detail | None = None
    ) -> None:
        """Records the end."""
        self._append(
            EventKind.RUN_ENDED,
            state=state,
            reason=reason,
            detail=detail or {},
            output_hash=digest(text) if text else "",
        )

    def run_resumed(self, detail: Detail) -> None:
        """Records that the run goes on."""
        self._append(EventKind.RUN_RESUMED, state=RunState.RUNNING, detail=detail)

    def run_descended(
        self, kind: EventKind, step: str, *, decision: str = "", reason: str = "", detail: Detail
    ) -> None:
        """Records that another run was made of this one."""
        self._append(kind, state="", step=step, decision=decision, reason=reason, detail=detail)

    def step_started(self, step: str, attempt: int) -> None:
        """Records that an attempt starts."""
        self._append(EventKind.STEP_STARTED, step=step, attempt=attempt, state=StepState.RUNNING)

    def step_ended(
        self,
        step: str,
        attempt: int,
        state: StepState,
        *,
        decision: str = "",
        reason: str = "",
        detail: Detail | None = None,
    ) -> None:
        """Records how an attempt ended."""
        self._append(
            EventKind.STEP_ENDED,
            step=step,
            attempt=attempt,
            state=state,
            decision=decision,
            reason=reason,
            detail=detail or {},
        )

    async def commit(self) -> None:
        """Waits until the run's events are durable, where its audit requires it."""
        if self.audit is Audit.REQUIRED:
            await self.journal.commit()

    def _append(
        self,
        kind: EventKind,
        *,
        state: str,
        step: str = "",
        attempt: int = 0,
        decision: str = "",
        reason: str = "",
        detail: Detail | None = None,
        input_hash: str = "",
        output_hash: str = "",
    ) -> None:
        event = Event(
            run_id=self.run_id,
            tenant=self.tenant,
            kind=kind,
            at=self.clock.now(),
            pipeline=self.pipeline,
            step=step,
            attempt=attempt,
            state=str(state),
            decision=decision,
            reason=reason,
            detail=json.dumps(detail, separators=(",", ":")) if detail else "",
            input_hash=input_hash,
            output_hash=output_hash,
        )
        try:
            self.journal.append(event)
        except ServiceError:
            if self.audit is Audit.REQUIRED:
                raise
            self.clock.dropped()


def digest(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def usage_detail(usage: Usage) -> Detail:
    """Tokens that a run has used; nothing where it used none."""
    if not usage.prompt_tokens and not usage.completion_tokens:
        return {}
    counted = {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}
    return {"usage": {**counted, "estimated": True} if usage.estimated else counted}


def verdict_detail(verdict: Verdict) -> Detail:
    """What the journal keeps of a verdict."""
    return {
        "policy": verdict.policy,
        "policy_version": verdict.policy_version,
        "mode": "shadow" if verdict.shadow else "enforce",
        "would": str(verdict.would),
        "partial": verdict.partial,
        "score": round(verdict.score, 4),
        "ms": round(verdict.milliseconds, 3),
        "detectors": [_report_detail(report) for report in verdict.reports],
        "findings": [
            {
                "detector": finding.detector,
                "category": finding.category,
                "score": round(finding.score, 4),
                "threshold": finding.threshold,
                "decision": str(finding.decision),
                "span": [finding.segment, finding.start, finding.end],
                "view": finding.view,
            }
            for finding in verdict.findings
        ],
    }


def _report_detail(report: Report) -> Detail:
    detail = {
        "detector": report.detector,
        "version": report.version,
        "threshold_set": report.threshold_set,
        "state": report.state,
        "score": round(report.score, 4),
        "threshold": round(report.threshold, 4),
        "decision": str(report.decision),
        "ms": round(report.milliseconds, 3),
    }
    return {**detail, "detail": report.detail} if report.detail else detail


def passages_verdict_detail(screened: ScreenedPassages) -> Detail:
    """What the journal keeps of the verdict on passages: which were withheld, and which were read otherwise than they
    are stored."""
    return {
        **verdict_detail(screened.verdict),
        "withheld": [passage.chunk_id for passage in screened.withheld],
        "changed": [passage.chunk_id for passage in screened.changed],
    }


def passages_detail(passages: Sequence[Passage]) -> Detail:
    """What the journal keeps of passages: how many, how many of them each leg found, and the first."""
    return {
        "passages": len(passages),
        "legs": Counter(placed.leg for passage in passages for placed in passage.legs),
        "first": [[p.chunk_id, round(p.score, 4)] for p in passages[:5]],
    }


def finish_detail(finish: Finish) -> Detail:
    """What the journal keeps of an answer's end: who wrote it, after which wait, and of what there was no room for."""
    prepared = finish.prepared
    return {
        "model": finish.model,
        "finish_reason": finish.reason,
        "prompt_tokens": finish.usage.prompt_tokens,
        "completion_tokens": finish.usage.completion_tokens,
        "unanswerable": finish.unanswerable,
        **({"replica": finish.replica} if finish.replica else {}),
        **({"queued_ms": round(finish.queued_seconds * 1000)} if finish.queued_seconds else {}),
        **(
            {"passages_read": prepared.passages_read, "turns_left_out": prepared.turns_left_out}
            if prepared
            else {}
        ),
    }
