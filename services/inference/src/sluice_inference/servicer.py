"""Inference over gRPC. Converts only."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, aclosing
from typing import Any

from prometheus_client import Counter

from sluice.inference.v1 import inference_pb2, inference_pb2_grpc
from sluice_inference.domain.model import (
    Finish,
    FinishReason,
    Message,
    Passage,
    Rewriting,
    Sampling,
    Sentence,
    Task,
)
from sluice_inference.engines.registry import Engines
from sluice_servicekit import telemetry_names as names
from sluice_servicekit import tracing
from sluice_servicekit.errors import InvalidArgument

_TOKENS = Counter(names.TOKENS_GENERATED, "Tokens read and written", ("model_server", "type"))

_REASONS = {
    FinishReason.STOP: inference_pb2.FINISH_REASON_STOP,
    FinishReason.LENGTH: inference_pb2.FINISH_REASON_LENGTH,
    FinishReason.CONTENT_FILTER: inference_pb2.FINISH_REASON_CONTENT_FILTER,
}


class InferenceServicer(inference_pb2_grpc.InferenceServiceServicer):
    """`sluice.inference.v1.InferenceService`."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    async def Generate(
        self, request: inference_pb2.GenerateRequest, context: Any
    ) -> AsyncIterator[inference_pb2.GenerateResponse]:
        """Streams one answer."""
        task = _task(request)
        if not task.question.strip():
            raise InvalidArgument("no user message asks anything", field="messages")
        engine = self._engines.get(request.model_server)
        with _span(request.model_server):
            async with aclosing(engine.generate(task)) as events:
                async for event in events:
                    if isinstance(event, Finish):
                        _count(request.model_server, event.prompt_tokens, event.completion_tokens)
                        yield inference_pb2.GenerateResponse(finish=_finish(event))
                    else:
                        yield inference_pb2.GenerateResponse(delta=event)

    async def Rewrite(
        self, request: inference_pb2.RewriteRequest, context: Any
    ) -> inference_pb2.RewriteResponse:
        """Makes a question stand alone, or search queries of it."""
        turns = tuple(Message(turn.role, turn.content) for turn in request.turns)
        if not turns or turns[-1].role != "user" or not turns[-1].content.strip():
            raise InvalidArgument("the last turn is no question of the user", field="turns")
        if not request.max_tokens:
            raise InvalidArgument("the most tokens to write must be set", field="max_tokens")
        engine = self._engines.get(request.model_server)
        with _span(request.model_server):
            rewritten = await engine.rewrite(
                Rewriting(turns, request.max_tokens, request.model_name, request.search_queries)
            )
        _count(request.model_server, rewritten.prompt_tokens, rewritten.completion_tokens)
        usage = inference_pb2.Usage(
            prompt_tokens=rewritten.prompt_tokens, completion_tokens=rewritten.completion_tokens
        )
        return inference_pb2.RewriteResponse(
            query=rewritten.query, usage=usage, model=rewritten.model, queries=rewritten.queries
        )


def _span(model_server: str) -> AbstractContextManager[object]:
    attributes = {names.OPERATION: names.SPAN_CHAT, names.REQUEST_MODEL: model_server}
    return tracing.span(names.SPAN_CHAT, attributes)


def _count(model_server: str, read: int, written: int) -> None:
    _TOKENS.labels(model_server, "input").inc(read)
    _TOKENS.labels(model_server, "output").inc(written)


def _task(request: inference_pb2.GenerateRequest) -> Task:
    return Task(
        messages=tuple(Message(message.role, message.content) for message in request.messages),
        passages=tuple(
            Passage(
                passage.document_id,
                passage.title,
                passage.text,
                passage.score,
                tuple(
                    Sentence(sentence.span.start, sentence.span.end, sentence.similarity)
                    for sentence in passage.sentences
                ),
            )
            for passage in request.passages
        ),
        sampling=_sampling(request.sampling),
        instructions=request.instructions,
        model_name=request.model_name,
        canary=request.canary,
    )


def _sampling(message: inference_pb2.Sampling) -> Sampling:
    return Sampling(
        temperature=message.temperature if message.HasField("temperature") else None,
        top_p=message.top_p if message.HasField("top_p") else None,
        max_tokens=message.max_tokens if message.HasField("max_tokens") else None,
        stop=tuple(message.stop),
        seed=message.seed if message.HasField("seed") else None,
    )


def _finish(finish: Finish) -> inference_pb2.Finish:
    usage = inference_pb2.Usage(
        prompt_tokens=finish.prompt_tokens, completion_tokens=finish.completion_tokens
    )
    return inference_pb2.Finish(
        reason=_REASONS[finish.reason], usage=usage, model=finish.model, unanswerable=finish.unanswerable
    )
