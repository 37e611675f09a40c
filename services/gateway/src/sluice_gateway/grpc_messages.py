"""The messages of the gateway's gRPC API, to and from the domain's words."""

from google.protobuf.timestamp_pb2 import Timestamp

from sluice.common.v1 import common_pb2
from sluice.gateway.v1 import gateway_pb2
from sluice.inference.v1 import inference_pb2
from sluice_gateway import conversion, generation
from sluice_gateway.domain.adapting.naming import pipeline_and_adapter, selecting
from sluice_gateway.domain.model import FilterExpression, Principal, RunRequest
from sluice_gateway.domain.outcome import CacheDecision, CacheUse, Flag, RunResult
from sluice_gateway.domain.run import RunRecord, RunState, StepState
from sluice_gateway.domain.search import Search
from sluice_servicekit import retrieval_parameters
from sluice_servicekit.errors import InvalidArgument

_RUN_STATES = {state: gateway_pb2.RunState.Value(f"RUN_STATE_{state.name}") for state in RunState}
_STEP_STATES = {state: gateway_pb2.StepState.Value(f"STEP_STATE_{state.name}") for state in StepState}

_CACHE_DECISIONS = {
    decision: gateway_pb2.CacheDecision.Value(f"CACHE_DECISION_{decision.name}") for decision in CacheDecision
}

_ROLES = {"system", "developer", "user", "assistant", "tool"}


def run_request(request: gateway_pb2.AnswerRequest, principal: Principal, *, stream: bool) -> RunRequest:
    """The question.

    Raises:
        InvalidArgument: a message has a role that there is not.
    """
    for index, message in enumerate(request.messages):
        if message.role not in _ROLES:
            raise InvalidArgument(f"{message.role!r} is not a role", field=f"messages[{index}].role")
    pipeline, adapter = pipeline_and_adapter(request.model)
    return RunRequest(
        pipeline=pipeline,
        adapter=adapter,
        principal=principal,
        messages=tuple(map(generation.message_from, request.messages)),
        sampling=generation.sampling_from(request.sampling),
        filter=FilterExpression(request.filter) if request.HasField("filter") else None,
        retrieval=retrieval_parameters.from_message(request.retrieval, "retrieval"),
        stream=stream,
        user=request.user,
        session=request.session,
        arm=request.arm,
        task=selecting("task", request.task),
        locale=selecting("locale", request.locale),
    )


def search(request: gateway_pb2.SearchRequest) -> Search:
    """What is looked for."""
    return Search(
        knowledge_base=request.knowledge_base,
        more_knowledge_bases=tuple(request.more_knowledge_bases),
        query=request.query,
        top_k=request.top_k,
        parameters=retrieval_parameters.from_message(request.retrieval, "retrieval"),
        filter=FilterExpression(request.filter) if request.HasField("filter") else None,
        explain=request.explain,
    )


def answer(result: RunResult) -> gateway_pb2.AnswerResponse:
    """What a run gave."""
    return gateway_pb2.AnswerResponse(
        run_id=result.run_id,
        state=_RUN_STATES[result.state],
        text=result.text,
        unanswerable=result.unanswerable,
        citations=[
            gateway_pb2.Citation(
                number=citation.number,
                document_id=citation.document_id,
                chunk_id=citation.chunk_id,
                title=citation.title,
                score=citation.score,
            )
            for citation in result.citations
        ],
        usage=inference_pb2.Usage(
            prompt_tokens=result.usage.prompt_tokens, completion_tokens=result.usage.completion_tokens
        ),
        verdict=None if result.verdict is None else conversion.verdict_message(result.verdict),
        flags=[_flag(flag) for flag in result.flags],
        experiment=result.experiment,
        arm=result.arm,
        adapter=result.adapter,
        cache=None if result.cache is None else _cache(result.cache),
    )


def _cache(use: CacheUse) -> gateway_pb2.CacheUse:
    return gateway_pb2.CacheUse(
        decision=_CACHE_DECISIONS[use.decision],
        kind=use.kind,
        run_id=use.run_id,
        similarity=use.similarity,
        age_seconds=use.age,
        reason=use.reason,
    )


def _flag(flag: Flag) -> gateway_pb2.Flag:
    finding = flag.finding
    return gateway_pb2.Flag(
        step=flag.step,
        detector=finding.detector,
        category=finding.category,
        score=finding.score,
        threshold=finding.threshold,
        segment=finding.segment,
        span=common_pb2.Span(start=finding.start, end=finding.end),
        decision=conversion.decision_message(finding.decision),
    )


def run(record: RunRecord) -> gateway_pb2.Run:
    """A run as the journal has it."""
    return gateway_pb2.Run(
        run_id=record.run_id,
        model=record.pipeline,
        state=_RUN_STATES[record.state],
        reason=record.reason,
        started=_timestamp(record.started),
        ended=_timestamp(record.ended),
        steps=[
            gateway_pb2.Step(
                name=step.name,
                state=_STEP_STATES[step.state],
                attempt=step.attempt,
                decision=step.decision,
                reason=step.reason,
                started=_timestamp(step.started),
                ended=_timestamp(step.ended),
            )
            for step in record.steps
        ],
        executor=record.executor,
        origin=None
        if record.origin is None
        else gateway_pb2.RunOrigin(
            run_id=record.origin.run_id, how=record.origin.how, from_step=record.origin.from_step
        ),
        descendants=[
            gateway_pb2.RunDescendant(
                run_id=made.run_id,
                how=made.how,
                step=made.step,
                decision=made.decision,
                reason=made.reason,
                actor=made.actor,
                at=_timestamp(made.at),
            )
            for made in record.descendants
        ],
        resumed=record.resumed,
        experiment=record.experiment,
        arm=record.arm,
        adapter=record.adapter,
    )


def _timestamp(at: float | None) -> Timestamp | None:
    if at is None:
        return None
    timestamp = Timestamp()
    timestamp.FromMicroseconds(int(at * 1_000_000))
    return timestamp
