"""The gates over gRPC. Converts only; screening runs in threads, so that a long text holds up no other call."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any, TypeVar

from sluice.guardrail.v1 import guardrail_pb2, guardrail_pb2_grpc
from sluice_guardrail import conversion, metrics
from sluice_guardrail.domain.model import Verdict
from sluice_guardrail.domain.streaming import OutputStream, Progress
from sluice_guardrail.policies import Policies
from sluice_servicekit import telemetry_names as names
from sluice_servicekit import tracing
from sluice_servicekit.errors import InvalidArgument

#: Characters up to which screening is faster than handing it to a thread.
_SHORT = 2_000

T = TypeVar("T")


class GuardrailServicer(guardrail_pb2_grpc.GuardrailServiceServicer):
    """`sluice.guardrail.v1.GuardrailService`."""

    def __init__(self, policies: Policies, threads: Executor) -> None:
        self._policies = policies
        self._threads = threads

    async def CheckInput(
        self, request: guardrail_pb2.CheckInputRequest, context: Any
    ) -> guardrail_pb2.CheckInputResponse:
        """Screens everything a caller sends."""
        screener = self._policies.get(request.policy, request.principal.tenant)
        segments = conversion.segments(request.segments)
        size = sum(len(segment.text) for segment in segments)
        verdict = await self._screen(size, lambda: screener.screen_input(segments))
        return guardrail_pb2.CheckInputResponse(
            verdict=conversion.verdict_message(verdict), treated=conversion.treated_messages(verdict)
        )

    async def CheckPassages(
        self, request: guardrail_pb2.CheckPassagesRequest, context: Any
    ) -> guardrail_pb2.CheckPassagesResponse:
        """Screens what a model is about to read."""
        screener = self._policies.get(request.policy, request.principal.tenant)
        passages = conversion.documents(request.passages)
        size = sum(len(passage.text) for passage in passages)
        verdict = await self._screen(size, lambda: screener.treat_passages(passages))
        return guardrail_pb2.CheckPassagesResponse(
            verdict=conversion.verdict_message(verdict), treated=conversion.treated_messages(verdict)
        )

    async def Guard(self, request: guardrail_pb2.GuardRequest, context: Any) -> guardrail_pb2.GuardResponse:
        """Screens one text outside of any run."""
        screener = self._policies.get(request.policy, request.principal.tenant)
        text = conversion.text(request)
        size = len(text.text) + sum(map(len, request.context))
        verdict = await self._screen(
            size, lambda: screener.screen_text(text, request.context, request.question)
        )
        return guardrail_pb2.GuardResponse(
            verdict=conversion.verdict_message(verdict), treated=conversion.treated_messages(verdict)
        )

    async def CheckOutput(
        self, request: guardrail_pb2.CheckOutputRequest, context: Any
    ) -> guardrail_pb2.CheckOutputResponse:
        """Screens a whole answer."""
        screener = self._policies.get(request.policy, request.principal.tenant)
        answer = conversion.answer(request)
        size = len(answer.text) + sum(map(len, answer.passages))
        verdict = await self._screen(size, lambda: screener.screen_output(answer))
        return guardrail_pb2.CheckOutputResponse(
            verdict=conversion.verdict_message(verdict), text=request.text
        )

    async def CheckOutputStream(
        self, request_iterator: AsyncIterator[guardrail_pb2.CheckOutputStreamRequest], context: Any
    ) -> AsyncIterator[guardrail_pb2.CheckOutputStreamResponse]:
        """Screens an answer while it is being written."""
        stream: OutputStream | None = None
        async for request in request_iterator:
            if stream is None:
                if not request.HasField("start"):
                    raise InvalidArgument("the first message must carry `start`", field="start")
                screener = self._policies.get(request.start.policy, request.start.principal.tenant)
                answer = conversion.answer(request.start)
                begin = partial(OutputStream, screener, answer.question, answer.passages)
                stream = await self._in_thread(partial(begin, passages_screened=answer.passages_screened))
            progress = await self._feed(stream, request)
            yield conversion.progress_message(progress)
            if progress.final:
                metrics.count(progress.verdict)
                return
        raise InvalidArgument("the stream ended without a message with `final` set", field="final")

    async def _feed(self, stream: OutputStream, request: guardrail_pb2.CheckOutputStreamRequest) -> Progress:
        progress = stream.feed(request.delta)
        if progress.final or not request.final:
            return progress
        return await self._in_thread(stream.finish)

    async def _screen(self, size: int, screen: Callable[[], Verdict]) -> Verdict:
        with tracing.span(names.SPAN_GUARD) as span:
            verdict = screen() if size <= _SHORT else await self._in_thread(screen)
            span.set_attributes({names.DECISION: verdict.decision.name, names.POLICY: verdict.policy})
        metrics.count(verdict)
        return verdict

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
