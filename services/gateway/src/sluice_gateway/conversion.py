"""Between protos and the gateway's domain. Converts only."""

from sluice.common.v1 import common_pb2
from sluice.guardrail.v1 import guardrail_pb2
from sluice.inference.v1 import inference_pb2
from sluice_gateway.domain.model import Decision, Finding, Principal, Sampling, Verdict

_DECISIONS = {
    guardrail_pb2.DECISION_ALLOW: Decision.ALLOW,
    guardrail_pb2.DECISION_FLAG: Decision.FLAG,
    guardrail_pb2.DECISION_REDACT: Decision.REDACT,
    guardrail_pb2.DECISION_BLOCK: Decision.BLOCK,
}
_DECISION_MESSAGES = {decision: value for value, decision in _DECISIONS.items()}


def principal(who: Principal) -> common_pb2.Principal:
    """Who asks, as a message."""
    return common_pb2.Principal(tenant=who.tenant, subject=who.subject, roles=who.roles, acl=who.acl)


def sampling(how: Sampling) -> inference_pb2.Sampling:
    """How to sample, as a message."""
    return inference_pb2.Sampling(
        temperature=how.temperature,
        top_p=how.top_p,
        max_tokens=how.max_tokens,
        stop=how.stop,
        seed=how.seed,
    )


def sampling_from(message: inference_pb2.Sampling) -> Sampling:
    """How to sample."""
    return Sampling(
        temperature=message.temperature if message.HasField("temperature") else None,
        top_p=message.top_p if message.HasField("top_p") else None,
        max_tokens=message.max_tokens if message.HasField("max_tokens") else None,
        stop=tuple(message.stop),
        seed=message.seed if message.HasField("seed") else None,
    )


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
    )
