"""Between protos and the gateway's domain. Converts only."""

from typing import Any

from sluice.common.v1 import common_pb2
from sluice.guardrail.v1 import guardrail_pb2
from sluice.inference.v1 import inference_pb2
from sluice.retriever.v1 import retriever_pb2
from sluice_api.objects.retrieval import Retrieval
from sluice_gateway.domain.model import Decision, Finding, Principal, Sampling, Verdict

_DECISIONS = {
    guardrail_pb2.DECISION_ALLOW: Decision.ALLOW,
    guardrail_pb2.DECISION_FLAG: Decision.FLAG,
    guardrail_pb2.DECISION_REDACT: Decision.REDACT,
    guardrail_pb2.DECISION_BLOCK: Decision.BLOCK,
}
#: Enum fields of the parameters, and what their values' names start with.
_ENUMS: dict[str, tuple[Any, str]] = {
    "acorn": (retriever_pb2.Acorn, "ACORN_"),
    "token_match": (retriever_pb2.TokenMatch, "TOKEN_MATCH_"),
    "parent": (retriever_pb2.Parent, "PARENT_"),
    "self_query": (retriever_pb2.SelfQuery, "SELF_QUERY_"),
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


def parameters_message(parameters: Retrieval) -> retriever_pb2.RetrievalParameters:
    """Parameters as far as they are given, as a message."""
    given = parameters.model_dump(exclude_none=True, exclude={"fusion", "keyword_timeout"})
    for name, (kind, words) in _ENUMS.items():
        if name in given:
            given[name] = kind.Value(words + given[name].upper())
    message = retriever_pb2.RetrievalParameters(**given)
    if fusion := parameters.fusion.model_dump(exclude_none=True):
        message.fusion.CopyFrom(retriever_pb2.FusionParameters(**fusion))
    if parameters.keyword_timeout is not None:
        message.keyword_timeout_ms = round(parameters.keyword_timeout * 1000)
    return message
