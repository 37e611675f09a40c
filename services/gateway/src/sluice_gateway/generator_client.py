"""Generation as the run's port: protos here, domain there."""

from collections.abc import AsyncGenerator, Sequence

from sluice.inference.v1 import inference_pb2, inference_pb2_grpc
from sluice_api.objects.steps import RewriteStep
from sluice_gateway import conversion, generation
from sluice_gateway.domain.admission.priority import Priority
from sluice_gateway.domain.model import Message, Principal, Reworded, Rewritten, Writing
from sluice_gateway.domain.ports import Prompt


class GeneratorClient:
    """`domain.ports.Generator` over gRPC."""

    def __init__(self, stub: "inference_pb2_grpc.InferenceServiceAsyncStub") -> None:
        self._stub = stub

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Writing, None]:
        """The answers' pieces, then the end."""
        async for response in self._stub.Generate(generation.request(prompt)):
            if response.HasField("usage"):
                yield generation.usage(response.usage)
            event = response.WhichOneof("event")
            if event == "delta":
                yield response.delta
            elif event == "piece":
                yield generation.delta(response.piece)
            elif event == "prepared":
                yield generation.prepared(response.prepared)
            elif event == "finish":
                yield generation.finish(response.finish)

    async def rewrite(
        self, principal: Principal, step: RewriteStep, turns: Sequence[Message], priority: Priority
    ) -> Rewritten:
        """The last turn as a question that stands alone."""
        request = inference_pb2.RewriteRequest(
            principal=conversion.principal(principal),
            model_server=step.model_server_ref,
            model_name=step.model_name,
            turns=generation.messages(turns),
            max_tokens=step.max_tokens,
            priority=generation.PRIORITIES[priority],
        )
        response = await self._stub.Rewrite(request)
        return Rewritten(response.query, generation.usage(response.usage), response.model)

    async def reword(
        self, principal: Principal, step: RewriteStep, question: str, most: int, priority: Priority
    ) -> Reworded:
        """Up to `most` questions to look for instead."""
        request = inference_pb2.RewriteRequest(
            principal=conversion.principal(principal),
            model_server=step.model_server_ref,
            model_name=step.model_name,
            turns=generation.messages([Message("user", question)]),
            max_tokens=step.max_tokens,
            search_queries=most,
            priority=generation.PRIORITIES[priority],
        )
        response = await self._stub.Rewrite(request)
        return Reworded(tuple(response.queries), generation.usage(response.usage), response.model)
