"""The gates over gRPC. Converts only; screening runs in threads, so that a long text holds up no other call."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any, TypeVar

from prometheus_client import Counter

from sluice.guardrail.v1 import guardrail_pb2, guardrail_pb2_grpc
from sluice_guardrail import conversion
from sluice_guardrail.domain.model import Caller, Reason, Verdict
from sluice_guardrail.domain.screening import Screener
from sluice_guardrail.domain.streaming import OutputStream, Progress
from sluice_guardrail.policies import Policies
from sluice_servicekit import telemetry_names as names
from sluice_servicekit import tracing
from sluice_servicekit.errors import InvalidArgument

_FINDINGS = Counter(
    names.GUARD_FINDINGS, "What detectors found", ("policy", "detector", "category", "decision")
)
#: Characters up to which screening is faster than handing it to a thread.
_SHORT = 2_000

T = TypeVar("T")


class GuardrailServicer(guardrail_pb2_grpc.GuardrailServiceServicer):
    """`sluice.guardrail.v1.GuardrailService`."""

    def __init__(self, policies: Policies, threads: Executor, module_threads: Executor) -> None:
        self._policies = policies
        self._threads = threads
        self._module_threads = module_threads

    async def CheckInput(
        self, request: guardrail_pb2.CheckInputRequest, context: Any
    ) -> guardrail_pb2.CheckInputResponse:
        """Screens everything a caller sends."""
        screener = self._policies.get(request.policy, request.principal.tenant)
        segments = conversion.segments(request.segments)
        size = sum(len(segment.text) for segment in segments)
        caller = Caller(request.principal.tenant, request.run_id)
        verdict = await self._screen(screener, size, lambda: screener.screen_input(segments, caller))
        return guardrail_pb2.CheckInputResponse(
            verdict=conversion.verdict_message(verdict), treated=conversion.treated_messages(verdict)
        )

    async def CheckPassages(
        self, request: guardrail_pb2.CheckPassagesRequest, context: Any
    ) -> guardrail_pb2.CheckPassagesResponse:
        """Screens what a model is about to read."""
        screener = self._policies.get(request.policy, request.principal.tenant)
        passages = conversion.passages(request.passages)
        size = sum(map(len, passages))
        verdict = await self._screen(screener, size, lambda: screener.screen_passages(passages))
        return guardrail_pb2.CheckPassagesResponse(
            verdict=conversion.verdict_message(verdict), treated=conversion.treated_messages(verdict)
        )

    async def Guard(self, request: guardrail_pb2.GuardRequest, context: Any) -> guardrail_pb2.GuardResponse:
        """Screens one text outside of any run."""
        screener = self._policies.get(request.policy, request.principal.tenant)
        text = conversion.text(request)
        size = len(text.text) + sum(map(len, request.context))
        caller = Caller(request.principal.tenant)
        verdict = await self._screen(
            screener, size, lambda: screener.screen_text(text, request.context, request.question, caller)
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
        caller = Caller(request.principal.tenant, request.run_id)
        verdict = await self._screen(screener, size, lambda: screener.screen_output(answer, caller=caller))
        return guardrail_pb2.CheckOutputResponse(
            verdict=conversion.verdict_message(verdict), text=request.text
        )

    async def CheckOutputStream(
        self, request_iterator: AsyncIterator[guardrail_pb2.CheckOutputStreamRequest], context: Any
    ) -> AsyncIterator[guardrail_pb2.CheckOutputStreamResponse]:
        """Screens an answer while it is being written."""
        stream: OutputStream | None = None
        screener: Screener
        async for request in request_iterator:
            if stream is None:
                if not request.HasField("start"):
                    raise InvalidArgument("the first message must carry `start`", field="start")
                screener = self._policies.get(request.start.policy, request.start.principal.tenant)
                question, passages = request.start.question, conversion.passages(request.start.passages)
                caller = Caller(request.start.principal.tenant, request.start.run_id)
                begin = partial(OutputStream, screener, question, passages, caller)
                stream = await self._in_thread(screener, begin)
            progress = await self._feed(screener, stream, request)
            yield conversion.progress_message(progress)
            if progress.final:
                _count(progress.verdict)
                return
        raise InvalidArgument("the stream ended without a message with `final` set", field="final")

    async def _feed(
        self, screener: Screener, stream: OutputStream, request: guardrail_pb2.CheckOutputStreamRequest
    ) -> Progress:
        feed = partial(stream.feed, request.delta)
        progress = await self._in_thread(screener, feed) if screener.asks_modules else feed()
        if progress.final or not request.final:
            return progress
        return await self._in_thread(screener, stream.finish)

    async def _screen(self, screener: Screener, size: int, screen: Callable[[], Verdict]) -> Verdict:
        with tracing.span(names.SPAN_GUARD) as span:
            at_once = size <= _SHORT and not screener.asks_modules
            verdict = screen() if at_once else await self._in_thread(screener, screen)
            span.set_attributes({names.DECISION: verdict.decision.name, names.POLICY: verdict.policy})
        _count(verdict)
        return verdict

    async def _in_thread(self, screener: Screener, work: Callable[[], T]) -> T:
        threads = self._module_threads if screener.asks_modules else self._threads
        return await asyncio.get_running_loop().run_in_executor(threads, work)


def _count(verdict: Verdict) -> None:
    for judged in verdict.findings:
        # A module may say any word; each would be a series of its own.
        category = "policy" if judged.reason is Reason.POLICY else judged.finding.category
        _FINDINGS.labels(verdict.policy, judged.detector, category, judged.decision.name.lower()).inc()
