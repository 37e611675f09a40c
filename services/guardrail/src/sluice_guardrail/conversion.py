"""Between messages and the domain."""

from collections.abc import Iterable

from sluice.common.v1 import common_pb2
from sluice.guardrail.v1 import guardrail_pb2
from sluice_guardrail.domain.model import Answer, Channel, Decision, Judged, Segment, Verdict
from sluice_guardrail.domain.streaming import Progress
from sluice_servicekit.errors import InvalidArgument

_CHANNELS = {
    guardrail_pb2.CHANNEL_USER: Channel.USER,
    guardrail_pb2.CHANNEL_DOCUMENT: Channel.DOCUMENT,
    guardrail_pb2.CHANNEL_TOOL: Channel.TOOL,
}
_DECISIONS = {
    Decision.ALLOW: guardrail_pb2.DECISION_ALLOW,
    Decision.FLAG: guardrail_pb2.DECISION_FLAG,
    Decision.BLOCK: guardrail_pb2.DECISION_BLOCK,
}


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


def answer(request: guardrail_pb2.CheckOutputRequest) -> Answer:
    """The answer of a request."""
    return Answer(request.question, request.text, passages(request))


def passages(request: guardrail_pb2.CheckOutputRequest) -> tuple[str, ...]:
    """The passages' texts in citation order. A title is part of what a passage says."""
    return tuple(
        f"{passage.title}\n{passage.text}" if passage.title else passage.text for passage in request.passages
    )


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
    )


def progress_message(progress: Progress) -> guardrail_pb2.CheckOutputStreamResponse:
    """The message of what was screened so far."""
    return guardrail_pb2.CheckOutputStreamResponse(
        released=progress.released, verdict=verdict_message(progress.verdict), final=progress.final
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
        span=common_pb2.Span(start=finding.span.start, end=finding.span.end),
        view=finding.view,
    )
