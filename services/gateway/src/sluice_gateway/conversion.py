"""Between protos and the gateway's domain. Converts only."""

from collections.abc import Sequence
from typing import cast

from sluice.common.v1 import common_pb2
from sluice.guardrail.v1 import guardrail_pb2
from sluice_gateway.domain.model import (
    Decision,
    Finding,
    Message,
    Principal,
    Report,
    ScreenedPassages,
    Vectors,
    Verdict,
)
from sluice_gateway.domain.tools import NO_TOOLS, Tools

_DECISIONS = {
    guardrail_pb2.DECISION_ALLOW: Decision.ALLOW,
    guardrail_pb2.DECISION_FLAG: Decision.FLAG,
    guardrail_pb2.DECISION_REDACT: Decision.REDACT,
    guardrail_pb2.DECISION_BLOCK: Decision.BLOCK,
}
_STATES = {
    guardrail_pb2.DETECTOR_STATE_SCANNED: "scanned",
    guardrail_pb2.DETECTOR_STATE_PARTIAL: "partial",
    guardrail_pb2.DETECTOR_STATE_SKIPPED: "skipped",
    guardrail_pb2.DETECTOR_STATE_FAILED: "failed",
}
_STATE_MESSAGES = {state: value for value, state in _STATES.items()}
_DECISION_MESSAGES = {decision: value for value, decision in _DECISIONS.items()}


def principal(who: Principal) -> common_pb2.Principal:
    """Who asks, as a message."""
    return common_pb2.Principal(tenant=who.tenant, subject=who.subject, roles=who.roles, acl=who.acl)


def vectors(question: Vectors | None) -> common_pb2.QuestionVectors | None:
    """A question's vectors, as the retriever sent them."""
    return cast("common_pb2.QuestionVectors | None", question)


def segments(messages: Sequence[Message], tools: Tools = NO_TOOLS) -> list[guardrail_pb2.Segment]:
    """The texts of a request: one for each message, then the arguments of tools' calls, then what the model is told of
    the tools that it may call, all in order."""
    said = [
        guardrail_pb2.Segment(channel=_channel(message), role=message.role, text=message.content)
        for message in messages
    ]
    calls = [
        guardrail_pb2.Segment(channel=guardrail_pb2.CHANNEL_TOOL, role=message.role, text=call.arguments)
        for message in messages
        for call in message.tool_calls
    ]
    # The caller has written them, as it has its messages.
    described = [
        guardrail_pb2.Segment(channel=guardrail_pb2.CHANNEL_USER, role="system", text=text)
        for text in tools.texts
    ]
    return said + calls + described


def screened_passages(
    passages: Sequence[common_pb2.Passage], response: guardrail_pb2.CheckPassagesResponse
) -> ScreenedPassages:
    """The passages that a model may read."""
    treated = {each.segment: each for each in response.treated}
    kept, withheld, changed = [], [], []
    for index, passage in enumerate(passages):
        treatment = treated.get(index)
        if treatment is None:
            kept.append(passage)
        elif treatment.dropped:
            withheld.append(passage)
        else:
            kept.append(edited(passage, treatment))
            changed.append(kept[-1])
    return ScreenedPassages(verdict(response.verdict), kept, withheld, changed)


def edited(passage: common_pb2.Passage, treatment: guardrail_pb2.TreatedText) -> common_pb2.Passage:
    """The passage as the policy has changed it. Sentences that were changed are none any more: they are not quoted."""
    result = common_pb2.Passage()
    result.CopyFrom(passage)
    result.text = treatment.text
    if treatment.untitled:
        result.title = ""
    del result.sentences[:]
    for sentence in passage.sentences:
        span = sentence.span
        if any(span.start < edit.span.end and edit.span.start < span.end for edit in treatment.edits):
            continue
        by = sum(
            len(edit.replacement) - (edit.span.end - edit.span.start)
            for edit in treatment.edits
            if edit.span.end <= span.start
        )
        moved = common_pb2.Span(start=span.start + by, end=span.end + by)
        result.sentences.append(common_pb2.Sentence(span=moved, similarity=sentence.similarity))
    return result


def verdict(message: guardrail_pb2.Verdict) -> Verdict:
    """A gate's decision. One that this version does not know counts as a block."""
    return Verdict(
        decision=_DECISIONS.get(message.decision, Decision.BLOCK),
        reason=message.reason,
        message=message.message,
        policy=message.policy,
        policy_version=message.policy_version,
        findings=tuple(
            Finding(
                detector=found.detector,
                category=found.category,
                score=found.score,
                threshold=found.threshold,
                decision=_DECISIONS.get(found.decision, Decision.BLOCK),
                segment=found.segment,
                start=found.span.start,
                end=found.span.end,
                view=found.view,
            )
            for found in message.findings
        ),
        partial=message.partial,
        reports=tuple(
            Report(
                detector=report.detector,
                version=report.version,
                threshold_set=report.threshold_set,
                state=_STATES.get(report.state, "failed"),
                score=report.score,
                threshold=report.threshold,
                decision=_DECISIONS.get(report.decision, Decision.BLOCK),
                milliseconds=report.milliseconds,
                detail=report.detail,
            )
            for report in message.detectors
        ),
        shadow=message.mode == guardrail_pb2.MODE_SHADOW,
        would=_DECISIONS.get(message.would, Decision.ALLOW),
        score=message.score,
        milliseconds=message.milliseconds,
    )


def verdict_message(decided: Verdict) -> guardrail_pb2.Verdict:
    """A gate's decision as a message."""
    return guardrail_pb2.Verdict(
        decision=_DECISION_MESSAGES[decided.decision],
        reason=decided.reason,
        message=decided.message,
        policy=decided.policy,
        policy_version=decided.policy_version,
        partial=decided.partial,
        findings=[
            guardrail_pb2.Finding(
                detector=found.detector,
                category=found.category,
                score=found.score,
                threshold=found.threshold,
                decision=_DECISION_MESSAGES[found.decision],
                segment=found.segment,
                span=common_pb2.Span(start=found.start, end=found.end),
                view=found.view,
            )
            for found in decided.findings
        ],
        detectors=[
            guardrail_pb2.DetectorReport(
                detector=report.detector,
                version=report.version,
                threshold_set=report.threshold_set,
                state=_STATE_MESSAGES[report.state],
                score=report.score,
                threshold=report.threshold,
                decision=_DECISION_MESSAGES[report.decision],
                milliseconds=report.milliseconds,
                detail=report.detail,
            )
            for report in decided.reports
        ],
        mode=guardrail_pb2.MODE_SHADOW if decided.shadow else guardrail_pb2.MODE_ENFORCE,
        would=_DECISION_MESSAGES[decided.would],
        score=decided.score,
        milliseconds=decided.milliseconds,
    )


def decision_message(decision: Decision) -> "guardrail_pb2.Decision.ValueType":
    """A decision."""
    return _DECISION_MESSAGES[decision]


def _channel(message: Message) -> "guardrail_pb2.Channel.ValueType":
    return guardrail_pb2.CHANNEL_TOOL if message.role == "tool" else guardrail_pb2.CHANNEL_USER
