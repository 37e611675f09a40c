"""The gateway's side of the reranker: it names its pipeline, and tells what was not scored, and why."""

from typing import Any

from sluice.common.v1 import common_pb2
from sluice.reranker.v1 import reranker_pb2, reranker_pb2_grpc
from sluice_gateway.clients import RerankerClient
from sluice_gateway.domain.model import Principal
from sluice_servicekit.channels import open_channel
from sluice_servicekit.grpc_server import Servicer, serving


class Partial(reranker_pb2_grpc.RerankerServiceServicer):
    """Scores the last passage only."""

    def __init__(self) -> None:
        self.pipelines: list[str] = []

    async def Rerank(self, request: Any, context: Any) -> reranker_pb2.RerankResponse:
        self.pipelines.append(request.pipeline)
        return reranker_pb2.RerankResponse(
            ranked=[reranker_pb2.Ranked(index=1, score=0.5), reranker_pb2.Ranked(index=0)],
            scored=1,
            model="slow-1",
            partial_reason="deadline",
        )


async def test_a_run_names_its_pipeline_and_learns_what_was_left():
    double = Partial()
    servicer = Servicer(
        reranker_pb2_grpc.add_RerankerServiceServicer_to_server, double, "sluice.reranker.v1.RerankerService"
    )
    passages = [common_pb2.Passage(chunk_id="a", score=0.9), common_pb2.Passage(chunk_id="b", score=0.8)]
    async with serving([servicer]) as address, open_channel(address) as channel:
        client = RerankerClient(reranker_pb2_grpc.RerankerServiceStub(channel))
        ranked = await client.rerank(Principal("acme"), "which?", None, passages, 2, "default")
        await client.rerank_messages(Principal("acme"), "which?", common_pb2.QuestionVectors(), passages, 2)
    assert double.pipelines == ["default", ""]
    assert [(passage.chunk_id, passage.score) for passage in ranked.passages] == [("b", 0.5), ("a", 0.0)]
    assert ranked.detail == {"scored": 1, "model": "slow-1", "partial_reason": "deadline"}
