"""The gates as the run's port: protos here, domain there."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import cast

from sluice.common.v1 import common_pb2
from sluice.guardrail.v1 import guardrail_pb2, guardrail_pb2_grpc
from sluice_gateway import conversion
from sluice_gateway.domain.model import (
    AnswerContext,
    Message,
    Passage,
    Principal,
    Released,
    ScreenedInput,
    ScreenedOutput,
    ScreenedPassages,
    TreatedSegment,
)
from sluice_gateway.domain.tools import NO_TOOLS, AnswerForm, Tools
from sluice_servicekit.exchanging import exchange


class GuardClient:
    """`domain.ports.Guard` over gRPC."""

    def __init__(self, stub: "guardrail_pb2_grpc.GuardrailServiceAsyncStub") -> None:
        self._stub = stub

    async def check_input(
        self,
        policy: str,
        principal: Principal,
        run_id: str,
        messages: Sequence[Message],
        tools: Tools = NO_TOOLS,
    ) -> ScreenedInput:
        """The input gate's verdict."""
        request = guardrail_pb2.CheckInputRequest(
            policy=policy,
            principal=conversion.principal(principal),
            segments=conversion.segments(messages, tools),
            run_id=run_id,
        )
        response = await self._stub.CheckInput(request)
        treated = tuple(TreatedSegment(each.segment, each.text) for each in response.treated)
        return ScreenedInput(conversion.verdict(response.verdict), treated, response.vault)

    async def check_passages(
        self, policy: str, principal: Principal, passages: Sequence[Passage]
    ) -> ScreenedPassages:
        """Which passages a model may read."""
        messages = cast("Sequence[common_pb2.Passage]", passages)
        response = await self.screen_passages(policy, principal, messages)
        return conversion.screened_passages(messages, response)

    async def screen_passages(
        self,
        policy: str,
        principal: Principal,
        passages: Sequence[common_pb2.Passage],
        *,
        ahead: bool = False,
    ) -> guardrail_pb2.CheckPassagesResponse:
        """The verdict on passages; `ahead` where nobody waits for it."""
        request = guardrail_pb2.CheckPassagesRequest(
            policy=policy, principal=conversion.principal(principal), passages=passages, ahead=ahead
        )
        return await self._stub.CheckPassages(request)

    async def guard(
        self, principal: Principal, request: guardrail_pb2.GuardRequest
    ) -> guardrail_pb2.GuardResponse:
        """The decision on one text, outside of any run."""
        request.principal.CopyFrom(conversion.principal(principal))
        return await self._stub.Guard(request)

    async def check_output(self, context: AnswerContext, text: str) -> ScreenedOutput:
        """The output gate's verdict on a whole answer."""
        request = _output_request(context)
        request.text = text
        response = await self._stub.CheckOutput(request)
        return ScreenedOutput(conversion.verdict(response.verdict), response.text)

    async def check_output_stream(
        self, context: AnswerContext, deltas: AsyncIterator[str]
    ) -> AsyncGenerator[Released, None]:
        """The output gate's verdicts on an answer that is being written."""

        async def requests() -> AsyncIterator[guardrail_pb2.CheckOutputStreamRequest]:
            yield guardrail_pb2.CheckOutputStreamRequest(start=_output_request(context))
            async for delta in deltas:
                yield guardrail_pb2.CheckOutputStreamRequest(delta=delta)
            yield guardrail_pb2.CheckOutputStreamRequest(final=True)

        async for response in exchange(self._stub.CheckOutputStream, requests()):
            yield Released(response.text, conversion.verdict(response.verdict), response.final)


def _output_request(context: AnswerContext) -> guardrail_pb2.CheckOutputRequest:
    return guardrail_pb2.CheckOutputRequest(
        policy=context.policy,
        principal=conversion.principal(context.principal),
        question=context.question,
        passages=cast("Sequence[common_pb2.Passage]", context.passages),
        run_id=context.run_id,
        vault=context.vault,
        canaries=context.canaries,
        passages_screened=True,
        form=_form(context),
        tool_results=context.tool_results,
    )


def _form(context: AnswerContext) -> "guardrail_pb2.OutputForm.ValueType":
    if context.arguments:
        return guardrail_pb2.OUTPUT_FORM_ARGUMENTS
    is_prose = context.form is AnswerForm.PROSE
    return guardrail_pb2.OUTPUT_FORM_PROSE if is_prose else guardrail_pb2.OUTPUT_FORM_JSON
