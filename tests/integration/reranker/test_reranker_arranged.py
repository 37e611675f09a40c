"""A pipeline's fusion, boosts, duplicates and diversity, through the service."""

from pathlib import Path

from sluice.common.v1 import common_pb2
from sluice.reranker.v1 import reranker_pb2, reranker_pb2_grpc
from sluice_api.objects.arranging import Arranging, Boost, Duplicates
from sluice_api.objects.steps import RerankStep
from sluice_reranker.batching.pool import Workers
from sluice_reranker.rankers.registry import Rankers
from sluice_reranker.servicer import RerankerServicer
from sluice_servicekit.channels import open_channel
from sluice_servicekit.grpc_server import serving
from sluice_servicekit.service import Servicer

TEXT = "The Ardmore press needs its oil change after 40 hours of work."


def _passage(text: str, knowledge_base: str, score: float) -> common_pb2.Passage:
    return common_pb2.Passage(text=text, knowledge_base=knowledge_base, score=score)


async def test_a_pipelines_scores_are_arranged(tmp_path: Path) -> None:
    rankers = Rankers(Workers(1), tmp_path, None)
    preferred = Boost(knowledge_base="handbook", log_odds=5.0)
    await rankers.apply(
        {
            "arranged": RerankStep(arrange=Arranging(boosts=(preferred,), duplicates=Duplicates.EXACT)),
            "plain": RerankStep(),
        }
    )
    candidates = [
        _passage(TEXT, "wiki", 0.9),
        _passage(TEXT, "wiki", 0.8),
        _passage("Holidays are in August.", "handbook", 0.1),
    ]
    servicer = Servicer(
        reranker_pb2_grpc.add_RerankerServiceServicer_to_server,
        RerankerServicer(rankers),
        "sluice.reranker.v1.RerankerService",
    )
    async with serving([servicer]) as address, open_channel(address) as channel:
        stub = reranker_pb2_grpc.RerankerServiceStub(channel)

        async def ranked(pipeline: str) -> list[reranker_pb2.Ranked]:
            request = reranker_pb2.RerankRequest(
                query="When does the press need oil?", candidates=candidates, pipeline=pipeline
            )
            return list((await stub.Rerank(request)).ranked)

        plain, arranged = await ranked("plain"), await ranked("arranged")
    assert [entry.index for entry in plain] == [0, 1, 2]
    assert [(entry.index, list(entry.duplicates)) for entry in arranged] == [(2, []), (0, [1])]
    assert {of.source: of.rank for of in arranged[1].sources} == {"ranker": 0, "retrieval": 0}
    await rankers.close()
