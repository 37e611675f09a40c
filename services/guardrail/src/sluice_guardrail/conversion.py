"""Between messages and the domain."""

from collections.abc import Iterable

from sluice.common.v1 import common_pb2
from sluice.guardrail.v1 import guardrail_pb2
from sluice_guardrail.domain.model import (
    Channel,
    Decision,
    Judged,
    Passage,
    Report,
    ScanState,
    Segment,
    Span,
    Verdict,
)
from sluice_guardrail.domain.shapes import Shape
from sluice_guardrail.domain.streaming import Progress
from sluice_guardrail.domain.texts import Answer, Form, Text
from sluice_guardrail.domain.vault import Binding
from sluice_lexical import datamarks
from sluice_servicekit.errors import InvalidArgument

_CHANNELS = {
    guardrail_pb2.CHANNEL_USER: Channel.USER,
    guardrail_pb2.CHANNEL_DOCUMENT: Channel.DOCUMENT,
    guardrail_pb2.CHANNEL_TOOL: Channel.TOOL,
}
_FORMS = {
    guardrail_pb2.OUTPUT_FORM_JSON: Form.JSON,
    guardrail_pb2.OUTPUT_FORM_ARGUMENTS: Form.ARGUMENTS,
}
_DECISIONS = {
    Decision.ALLOW: guardrail_pb2.DECISION_ALLOW,
    Decision.FLAG: guardrail_pb2.DECISION_FLAG,
    Decision.REDACT: guardrail_pb2.DECISION_REDACT,
    Decision.BLOCK: guardrail_pb2.DECISION_BLOCK,
}
_STATES = {
    ScanState.SCANNED: guardrail_pb2.DETECTOR_STATE_SCANNED,
    ScanState.PARTIAL: guardrail_pb2.DETECTOR_STATE_PARTIAL,
    ScanState.SKIPPED: guardrail_pb2.DETECTOR_STATE_SKIPPED,
    ScanState.FAILED: guardrail_pb2.DETECTOR_STATE_FAILED,
}


def text(request: guardrail_pb2.GuardRequest) -> Text:
    """The text of a request.

    Raises:
        InvalidArgument: the channel is not set, or there is no text.
    """
    channel = {**_CHANNELS, guardrail_pb2.CHANNEL_OUTPUT: Channel.OUTPUT}.get(request.channel)
    if channel is None:
        raise InvalidArgument("the channel must be user, document, tool or output", field="channel")
    if not request.text:
        raise InvalidArgument("text is empty", field="text")
    return Text(request.text, channel)


def segments(messages: Iterable[guardrail_pb2.Segment]) -> list[Segment]:
    """The segments of a request.

    Raises:
        InvalidArgument: a channel is not set, or is not one of an input.
    """
    found = []
    for index, message in enumerate(messages):
        channel = _CHANNELS.get(message.channel)
        if channel is None:
            raise InvalidArgument(
                "the channel must be CHANNEL_USER, CHANNEL_DOCUMENT or CHANNEL_TOOL",
                field=f"segments[{index}].channel",
            )
        found.append(Segment(channel, message.role, message.text))
    return found


def binding(
    request: guardrail_pb2.CheckInputRequest | guardrail_pb2.CheckOutputRequest, policy: str
) -> Binding:
    """Whose a vault is."""
    return Binding(request.principal.tenant, request.run_id, policy)


def shape(request: guardrail_pb2.CheckOutputStreamRequest) -> Shape:
    """What a message of a stream carries."""
    return Shape(request.HasField("start"), bool(request.delta), request.final)


def answer(request: guardrail_pb2.CheckOutputRequest) -> Answer:
    """The answer of a request. Its passages are compared by their words, whether or not they were marked as data."""
    read = tuple(datamarks.unmarked(passage.read) for passage in documents(request.passages))
    return Answer(
        request.question,
        request.text,
        read,
        tuple(request.canaries),
        request.passages_screened,
        _FORMS.get(request.form, Form.PROSE),
        tuple(datamarks.unmarked(result) for result in request.tool_results),
    )


def documents(messages: Iterable[common_pb2.Passage]) -> tuple[Passage, ...]:
    """The passages in citation order."""
    return tuple(Passage(each.title, each.text) for each in messages)


def verdict_message(verdict: Verdict) -> guardrail_pb2.Verdict:
    """The message of a verdict."""
    return guardrail_pb2.Verdict(
        decision=_DECISIONS[verdict.decision],
        reason=verdict.reason or "",
        message=verdict.message,
        findings=[_finding(judged) for judged in verdict.findings],
        policy=verdict.policy,
        policy_version=verdict.policy_version,
        partial=verdict.partial,
        detectors=[_report(report) for report in verdict.reports],
        mode=guardrail_pb2.MODE_SHADOW if verdict.shadow else guardrail_pb2.MODE_ENFORCE,
        would=_DECISIONS[verdict.would],
        score=verdict.score,
        milliseconds=verdict.milliseconds,
    )


def treated_messages(verdict: Verdict) -> list[guardrail_pb2.TreatedText]:
    """What the policy has changed."""
    return [
        guardrail_pb2.TreatedText(
            segment=each.segment,
            text=each.text,
            dropped=each.dropped,
            edits=[
                guardrail_pb2.Edit(span=_span(edit.span), replacement=edit.replacement) for edit in each.edits
            ],
            untitled=each.untitled,
        )
        for each in verdict.treated
    ]


def progress_message(progress: Progress) -> guardrail_pb2.CheckOutputStreamResponse:
    """The message of what was screened so far."""
    return guardrail_pb2.CheckOutputStreamResponse(
        released=progress.released,
        verdict=verdict_message(progress.verdict),
        final=progress.final,
        text=progress.text,
    )


def _report(report: Report) -> guardrail_pb2.DetectorReport:
    return guardrail_pb2.DetectorReport(
        detector=report.detector,
        version=report.detector_version,
        threshold_set=report.threshold_set,
        state=_STATES[report.state],
        score=report.score,
        threshold=report.threshold,
        decision=_DECISIONS[report.decision],
        milliseconds=report.milliseconds,
        detail=report.detail,
    )


def _finding(judged: Judged) -> guardrail_pb2.Finding:
    finding = judged.finding
    return guardrail_pb2.Finding(
        detector=judged.detector,
        detector_version=judged.detector_version,
        category=finding.category,
        score=finding.score,
        threshold=judged.threshold,
        decision=_DECISIONS[judged.decision],
        segment=judged.segment,
        span=_span(finding.span),
        view=finding.view,
    )


def _span(span: Span) -> common_pb2.Span:
    return common_pb2.Span(start=span.start, end=span.end)
