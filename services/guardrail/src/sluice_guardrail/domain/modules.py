"""Policies in WebAssembly as the gates see them: asked once the detectors are done, and counted like one."""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sluice_api.objects.guardrail_policy import Action, OnError, WasmPolicy, WasmStage
from sluice_guardrail.domain.judging import DECISIONS, Outcome
from sluice_guardrail.domain.model import (
    Caller,
    Decision,
    Detection,
    Finding,
    Judged,
    Reason,
    Report,
    ScanState,
    Span,
    Verdict,
)
from sluice_guardrail.domain.texts import Text
from sluice_servicekit.errors import FailedPrecondition

#: A module decides by itself: what it finds counts whatever its score.
_THRESHOLD = 0.0
_THRESHOLD_SET = "module"


@dataclass(frozen=True, slots=True)
class Question:
    """What a module is asked about: one text, and what is known of it."""

    stage: WasmStage
    text: Text
    findings: tuple[Judged, ...]
    """What the detectors have found in it."""
    scores: Mapping[str, float]
    """The detectors' scores for it, by name."""
    caller: Caller
    history_digest: str
    """See `wasm.abi.Input`."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a module makes of a text."""

    action: Action
    detection: Detection
    """Of state `FAILED` where the module gave no answer that counts; then the action says nothing."""


class ModulePolicy(Protocol):
    """A policy whose module is loaded. Thread-safe."""

    @property
    def spec(self) -> WasmPolicy:
        """The policy's words."""
        ...

    @property
    def version(self) -> str:
        """The module's digest, short."""
        ...

    def ask(self, question: Question) -> Ruling:
        """Its ruling, within its timeout."""
        ...


class Modules(Protocol):
    """Where modules are loaded from."""

    def load(self, policies: Sequence[WasmPolicy]) -> tuple[ModulePolicy, ...]:
        """The policies' modules, checked.

        Raises:
            ServiceError: one of them is not there or may not serve; it says which and why.
        """
        ...


class NoModules:
    """Where there are none."""

    def load(self, policies: Sequence[WasmPolicy]) -> tuple[ModulePolicy, ...]:
        """None; refuses a policy that names one."""
        if policies:
            raise FailedPrecondition(f"wasm policy {policies[0].name!r}: modules are not loaded here")
        return ()


def ask(
    policies: Sequence[ModulePolicy],
    stage: WasmStage,
    texts: Sequence[Text],
    outcomes: Sequence[Outcome],
    caller: Caller,
    before: Sequence[str] = (),
) -> list[Outcome]:
    """Asks the policies of a stage, in order, about every text.

    Args:
        outcomes: What the detectors came to, over the same texts.
        before: What was said before the first of the texts.
    """
    asked = [policy for policy in policies if stage in policy.spec.stages]
    if not asked:
        return []
    questions = [
        Question(
            stage,
            text,
            tuple(judged for each in outcomes for judged in each.judged if judged.segment == index),
            {each.report.detector: each.scores[index] for each in outcomes if index in each.scores},
            caller,
            digest,
        )
        for index, (text, digest) in enumerate(zip(texts, _histories(texts, before), strict=False))
    ]
    return [_run(policy, questions) for policy in asked]


def _run(policy: ModulePolicy, questions: Sequence[Question]) -> Outcome:
    """One policy over all texts. It is not asked again after it failed once: that has decided, and took its time."""
    started = time.perf_counter()
    judged: list[Judged] = []
    scores: dict[int, float] = {}
    state, detail = ScanState.SCANNED, ""
    for index, question in enumerate(questions):
        ruling = policy.ask(question)
        state, detail = ruling.detection.state, ruling.detection.detail
        judged += _judged(policy, ruling, index, len(question.text.text))
        scores[index] = ruling.detection.score
        if state is ScanState.FAILED:
            break
    decision = max((each.decision for each in judged), default=Decision.ALLOW)
    report = Report(
        _name(policy),
        policy.version,
        _THRESHOLD_SET,
        state,
        max(scores.values(), default=0.0),
        _THRESHOLD,
        decision,
        (time.perf_counter() - started) * 1000,
        detail,
        settled=True,
    )
    return Outcome(tuple(judged), report, blocks=decision is Decision.BLOCK, scores=scores)


def _judged(policy: ModulePolicy, ruling: Ruling, index: int, size: int) -> Iterator[Judged]:
    decision, reason, findings = DECISIONS[ruling.action], Reason.POLICY, ruling.detection.findings
    if ruling.detection.state is ScanState.FAILED:
        decision = Decision.BLOCK if policy.spec.on_error is OnError.DENY else Decision.FLAG
        reason, findings = Reason.POLICY_FAILED, (Finding("failed", 1.0, Span(0, size)),)
    for finding in findings:
        yield Judged(finding, _name(policy), policy.version, _THRESHOLD, decision, reason, index)


def _name(policy: ModulePolicy) -> str:
    return f"wasm/{policy.spec.name}"


def _histories(texts: Sequence[Text], before: Sequence[str]) -> Iterator[str]:
    """For each text the digest of what was said before it; empty where nothing was."""
    digest = hashlib.sha256()
    for index, text in enumerate((*before, *(each.text for each in texts))):
        if index >= len(before):
            yield digest.hexdigest() if index else ""
        content = text.encode()
        digest.update(len(content).to_bytes(8, "big") + content)


#: Findings of windows that are kept for the whole answer's verdict.
_KEPT = 64


def with_window(verdict: Verdict, window: Verdict) -> Verdict:
    """A verdict that a later one will include, with what policies found in a window of the answer: it has left by
    then, and the whole answer's verdict must tell of it. One report for each policy, the worst of all windows'."""
    reports = {report.detector: report for report in verdict.reports}
    for report in window.reports:
        if report.threshold_set == _THRESHOLD_SET:
            known = reports.get(report.detector, report)
            worst = report if report.state is ScanState.FAILED else known
            reports[report.detector] = replace(
                worst,
                score=max(known.score, report.score),
                decision=max(known.decision, report.decision),
            )
    findings = {(each.detector, each.finding.category, each.finding.span): each for each in verdict.findings}
    for each in window.findings:
        if each.detector in reports and len(findings) < _KEPT:
            findings.setdefault((each.detector, each.finding.category, each.finding.span), each)
    return replace(verdict, findings=tuple(findings.values()), reports=tuple(reports.values()))
