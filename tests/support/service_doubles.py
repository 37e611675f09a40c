"""Doubles of the four services behind one real gRPC server: they count what they answer, and hold where told."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sluice.common.v1 import common_pb2
from sluice.guardrail.v1 import guardrail_pb2, guardrail_pb2_grpc
from sluice.inference.v1 import inference_pb2, inference_pb2_grpc
from sluice.reranker.v1 import reranker_pb2, reranker_pb2_grpc
from sluice.retriever.v1 import retriever_pb2, retriever_pb2_grpc
from sluice.snapshot.v1 import snapshot_pb2_grpc
from sluice_api.objects.guardrail_policy import GuardrailPolicySpec
from sluice_api.objects.knowledge_base import KnowledgeBaseSpec
from sluice_api.objects.pipeline import PipelineSpec
from sluice_api.snapshot import CompiledPipeline, CompiledPolicy, Snapshot
from sluice_servicekit.errors import Unavailable
from sluice_servicekit.grpc_server import Servicer, bind_server
from sluice_servicekit.snapshot_server import Publisher, SnapshotServicer

_ALLOW = guardrail_pb2.Verdict(decision=guardrail_pb2.DECISION_ALLOW, policy="default")


@dataclass
class Doubles:
    """What they were asked and have answered, by step and question."""

    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    answered: Counter[tuple[str, str]] = field(default_factory=Counter)
    left: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Calls whose caller went away before they were answered."""
    held: set[str] = field(default_factory=set)
    """Steps that are not answered for now."""
    failing: Counter[str] = field(default_factory=Counter)
    """How many more calls of a step are refused as unavailable."""
    address: str = ""
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    generations: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    async def step(self, name: str, question: str) -> None:
        """One call of a step; returns once it may be answered."""
        key = (name, question)
        try:
            async with self.changed:
                self.asked[key] += 1
                self.changed.notify_all()
                await self.changed.wait_for(lambda: name not in self.held)
                if self.failing[name] > 0:
                    self.failing[name] -= 1
                    raise Unavailable("the service is away")
                self.answered[key] += 1
                self.changed.notify_all()
        except asyncio.CancelledError:
            self.left[key] += 1
            # A task that notes that somebody left must not wait to say so.
            self._telling = asyncio.create_task(self._tell())
            raise

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def hold(self, *steps: str) -> None:
        """Holds these steps, and only these."""
        async with self.changed:
            self.held = set(steps)
            self.changed.notify_all()

    async def until(self, holds: Any, seconds: float = 60.0) -> None:
        """Waits until something is so."""
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(holds)


class _Guardrail(guardrail_pb2_grpc.GuardrailServiceServicer):
    def __init__(self, doubles: Doubles) -> None:
        self._doubles = doubles

    async def CheckInput(self, request: Any, context: Any) -> guardrail_pb2.CheckInputResponse:
        await self._doubles.step("guard_input", request.segments[-1].text)
        return guardrail_pb2.CheckInputResponse(verdict=_ALLOW)

    async def CheckPassages(self, request: Any, context: Any) -> guardrail_pb2.CheckPassagesResponse:
        await self._doubles.step("guard_passages", request.passages[0].text)
        return guardrail_pb2.CheckPassagesResponse(verdict=_ALLOW)

    async def CheckOutput(self, request: Any, context: Any) -> guardrail_pb2.CheckOutputResponse:
        await self._doubles.step("guard_output", request.question)
        return guardrail_pb2.CheckOutputResponse(verdict=_ALLOW, text=request.text)


class _Retriever(retriever_pb2_grpc.RetrieverServiceServicer):
    def __init__(self, doubles: Doubles) -> None:
        self._doubles = doubles

    async def Embed(self, request: Any, context: Any) -> retriever_pb2.EmbedResponse:
        return retriever_pb2.EmbedResponse(question_vectors=common_pb2.QuestionVectors(model_digest="m"))

    async def Search(self, request: Any, context: Any) -> retriever_pb2.SearchResponse:
        await self._doubles.step("retrieve", request.query)
        passage = common_pb2.Passage(document_id="a.md", chunk_id="a.md#1", text=request.query, score=1.0)
        return retriever_pb2.SearchResponse(passages=[passage])


class _Reranker(reranker_pb2_grpc.RerankerServiceServicer):
    def __init__(self, doubles: Doubles) -> None:
        self._doubles = doubles

    async def Rerank(self, request: Any, context: Any) -> reranker_pb2.RerankResponse:
        await self._doubles.step("rerank", request.query)
        return reranker_pb2.RerankResponse(
            ranked=[reranker_pb2.Ranked(index=0, score=0.9)], scored=1, model="double"
        )


class _Inference(inference_pb2_grpc.InferenceServiceServicer):
    def __init__(self, doubles: Doubles) -> None:
        self._doubles = doubles

    async def Generate(self, request: Any, context: Any) -> AsyncIterator[inference_pb2.GenerateResponse]:
        question = request.messages[-1].content
        await self._doubles.step("generate", question)
        # Each time another text: what a run gives shows which generation it was.
        self._doubles.generations[question] += 1
        number = self._doubles.generations[question]
        yield inference_pb2.GenerateResponse(delta=f"{question} Answer {number} [1].")
        yield inference_pb2.GenerateResponse(
            finish=inference_pb2.Finish(reason=inference_pb2.FINISH_REASON_STOP, model="double")
        )


@asynccontextmanager
async def doubles(spec: PipelineSpec) -> AsyncIterator[Doubles]:
    """The services, and a snapshot server with one pipeline, for the length of the block."""
    them = Doubles()
    snapshot = Snapshot(
        pipelines={"default": CompiledPipeline(version="v1", spec=spec)},
        guardrail_policies={"default": CompiledPolicy(version="1", spec=GuardrailPolicySpec())},
        knowledge_bases={"default": KnowledgeBaseSpec()},
    )
    server = await bind_server(
        [
            Servicer(
                guardrail_pb2_grpc.add_GuardrailServiceServicer_to_server,
                _Guardrail(them),
                "sluice.guardrail.v1.GuardrailService",
            ),
            Servicer(
                retriever_pb2_grpc.add_RetrieverServiceServicer_to_server,
                _Retriever(them),
                "sluice.retriever.v1.RetrieverService",
            ),
            Servicer(
                reranker_pb2_grpc.add_RerankerServiceServicer_to_server,
                _Reranker(them),
                "sluice.reranker.v1.RerankerService",
            ),
            Servicer(
                inference_pb2_grpc.add_InferenceServiceServicer_to_server,
                _Inference(them),
                "sluice.inference.v1.InferenceService",
            ),
            Servicer(
                snapshot_pb2_grpc.add_SnapshotServiceServicer_to_server,
                SnapshotServicer(Publisher(snapshot)),
                "sluice.snapshot.v1.SnapshotService",
            ),
        ],
        "127.0.0.1:0",
    )
    await server.start()
    them.address = f"127.0.0.1:{server.port}"
    try:
        yield them
    finally:
        await them.hold()
        await server.drain(0)
