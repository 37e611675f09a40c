"""Inference over gRPC. Converts only."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, aclosing
from typing import Any

from prometheus_client import Counter

from sluice.inference.v1 import inference_pb2, inference_pb2_grpc
from sluice_inference import conversion
from sluice_inference.domain.model import Finish, Message, Prepared, Rewriting
from sluice_inference.engines.registry import Engines
from sluice_servicekit import telemetry_names as names
from sluice_servicekit import tracing
from sluice_servicekit.errors import InvalidArgument

_TOKENS = Counter(names.TOKENS_GENERATED, "Tokens read and written", ("model_server", "type"))


class InferenceServicer(inference_pb2_grpc.InferenceServiceServicer):
    """`sluice.inference.v1.InferenceService`."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    async def Generate(
        self, request: inference_pb2.GenerateRequest, context: Any
    ) -> AsyncIterator[inference_pb2.GenerateResponse]:
        """Streams one answer, or as many as are asked for."""
        task = conversion.task(request)
        if not task.question.strip():
            raise InvalidArgument("no user message asks anything", field="messages")
        engine = self._engines.get(request.model_server)
        with _span(request.model_server):
            async with aclosing(engine.generate(task)) as events:
                async for event in events:
                    if isinstance(event, Finish):
                        _count(request.model_server, event.prompt_tokens, event.completion_tokens)
                        yield inference_pb2.GenerateResponse(finish=conversion.finish(event))
                    elif isinstance(event, Prepared):
                        yield conversion.prepared(event)
                    else:
                        yield conversion.response(event)

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
                Rewriting(
                    turns,
                    request.max_tokens,
                    request.model_name,
                    request.search_queries,
                    request.principal.tenant,
                    conversion.priority(request.priority),
                )
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
