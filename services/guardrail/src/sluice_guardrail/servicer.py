"""The gates over gRPC. Converts only; screening runs in threads, so that a long text holds up no other call."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from prometheus_client import Counter

from sluice.guardrail.v1 import guardrail_pb2, guardrail_pb2_grpc
from sluice_guardrail import conversion, metrics
from sluice_guardrail.domain.classifying.allowance import Allowance
from sluice_guardrail.domain.model import Caller, Verdict
from sluice_guardrail.domain.redacting import leaving
from sluice_guardrail.domain.redacting.redactor import Redactor
from sluice_guardrail.domain.screening import Screener
from sluice_guardrail.domain.shapes import Shapes
from sluice_guardrail.domain.streaming import OutputStream, Progress
from sluice_guardrail.domain.vault import Vault
from sluice_guardrail.policies import Policies
from sluice_servicekit import telemetry_names as names
from sluice_servicekit import tracing
from sluice_servicekit.errors import InvalidArgument

_STREAMS_REFUSED = Counter(
    names.GUARD_STREAMS_REFUSED, "Streams of an answer that have a shape that is not known", ("reason",)
)
#: Characters up to which screening is faster than handing it to a thread.
_SHORT = 2_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Threads:
    """Where screening is done."""

    screening: Executor
    """What somebody waits for."""
    modules: Executor
    """What somebody waits for where policies in WebAssembly have a say."""
    ahead: Executor
    """What nobody waits for, so that it takes no thread from the others."""
    inline: bool
    """Short texts are screened at once, since no classifier reads them."""


class GuardrailServicer(guardrail_pb2_grpc.GuardrailServiceServicer):
    """`sluice.guardrail.v1.GuardrailService`."""

    def __init__(self, policies: Policies, vault: Vault, threads: Threads) -> None:
        self._policies = policies
        self._vault = vault
        self._threads = threads

    async def CheckInput(
        self, request: guardrail_pb2.CheckInputRequest, context: Any
    ) -> guardrail_pb2.CheckInputResponse:
        """Screens everything a caller sends."""
        screener = self._policies.get(request.policy, request.principal.tenant)
        segments = conversion.segments(request.segments)
        size = sum(len(segment.text) for segment in segments)
        caller, redactor = Caller(request.principal.tenant, request.run_id), Redactor()
        verdict = await self._screen(
            screener, size, lambda: screener.screen_input(segments, caller, redactor)
        )
        kept = redactor.values if screener.spec.input.pii.reversible else {}
        return guardrail_pb2.CheckInputResponse(
            verdict=conversion.verdict_message(verdict),
            treated=conversion.treated_messages(verdict),
            vault=self._vault.seal(kept, conversion.binding(request, screener.name)),
        )

    async def CheckPassages(
        self, request: guardrail_pb2.CheckPassagesRequest, context: Any
    ) -> guardrail_pb2.CheckPassagesResponse:
        """Screens what a model is about to read."""
        screener = self._policies.get(request.policy, request.principal.tenant)
        passages = conversion.documents(request.passages)
        if request.ahead:
            verdict = await self._ahead(partial(screener.treat_passages, passages))
        else:
            size = sum(len(passage.text) for passage in passages)
            verdict = await self._screen(screener, size, lambda: screener.treat_passages(passages))
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
        kept = self._vault.open(request.vault, conversion.binding(request, screener.name))
        answer = conversion.answer(request)
        size = len(answer.text) + sum(map(len, answer.passages))
        caller = Caller(request.principal.tenant, request.run_id)
        verdict = await self._screen(screener, size, lambda: screener.screen_output(answer, caller=caller))
        return guardrail_pb2.CheckOutputResponse(
            verdict=conversion.verdict_message(verdict),
            text=leaving.whole(answer.text, verdict, kept, answer.passages),
        )

    async def CheckOutputStream(
        self, request_iterator: AsyncIterator[guardrail_pb2.CheckOutputStreamRequest], context: Any
    ) -> AsyncIterator[guardrail_pb2.CheckOutputStreamResponse]:
        """Screens an answer while it is being written."""
        shapes = Shapes()
        stream: OutputStream | None = None
        screener: Screener
        async for request in request_iterator:
            with _counted():
                shapes.accept(conversion.shape(request))
            if stream is None:
                screener, stream = await self._open(request.start)
            progress = await self._feed(screener, stream, request)
            yield conversion.progress_message(progress)
            if progress.final:
                metrics.count(progress.verdict)
            if progress.final and not request.final:  # a block; what else comes is not read
                return
        with _counted():
            shapes.end()

    async def _open(self, start: guardrail_pb2.CheckOutputRequest) -> tuple[Screener, OutputStream]:
        """The stream under the policy as it is now; a change of the policy changes nothing in it."""
        screener = self._policies.get(start.policy, start.principal.tenant)
        kept = self._vault.open(start.vault, conversion.binding(start, screener.name))
        answer = conversion.answer(start)
        caller = Caller(start.principal.tenant, start.run_id)
        begin = partial(
            OutputStream, screener, answer.question, answer.passages, kept, caller, answer.canaries
        )
        begun = partial(begin, passages_screened=answer.passages_screened, tool_results=answer.tool_results)
        return screener, await self._in_thread(screener, begun)

    async def _feed(
        self, screener: Screener, stream: OutputStream, request: guardrail_pb2.CheckOutputStreamRequest
    ) -> Progress:
        feed = partial(stream.feed, request.delta)
        at_once = len(request.delta) <= _SHORT and not screener.asks_modules
        progress = feed() if at_once else await self._in_thread(screener, feed)
        if progress.final or not request.final:
            return progress
        finished = await self._in_thread(screener, stream.finish)
        return replace(finished, text=progress.text + finished.text)

    async def _screen(self, screener: Screener, size: int, screen: Callable[[], Verdict]) -> Verdict:
        async def now() -> Verdict:
            return screen()

        at_once = size <= _SHORT and self._threads.inline and not screener.asks_modules
        return await self._recorded(now() if at_once else self._in_thread(screener, screen))

    async def _ahead(self, screen: Callable[[Allowance], Verdict]) -> Verdict:
        """Screens for as long as the caller stays; what was read whole by then is remembered."""
        allowance = Allowance.endless()
        loop = asyncio.get_running_loop()
        try:
            return await self._recorded(loop.run_in_executor(self._threads.ahead, screen, allowance))
        finally:
            allowance.end()

    @staticmethod
    async def _recorded(screening: Awaitable[Verdict]) -> Verdict:
        with tracing.span(names.SPAN_GUARD) as span:
            verdict = await screening
            span.set_attributes({names.DECISION: verdict.decision.name, names.POLICY: verdict.policy})
        metrics.count(verdict)
        return verdict

    async def _in_thread(self, screener: Screener, work: Callable[[], T]) -> T:
        threads = self._threads.modules if screener.asks_modules else self._threads.screening
        return await asyncio.get_running_loop().run_in_executor(threads, work)


@contextmanager
def _counted() -> Iterator[None]:
    """Counts streams that are refused for their shape, by why."""
    try:
        yield
    except InvalidArgument as error:
        _STREAMS_REFUSED.labels(error.reason).inc()
        raise
