"""The reranker by its gRPC interface and its snapshots: which ranker serves which pipeline, and who is refused."""

import multiprocessing
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sluice.common.v1 import common_pb2
from sluice.reranker.v1 import reranker_pb2, reranker_pb2_grpc
from sluice_api.objects.pipeline import PipelineSpec
from sluice_api.snapshot import CompiledPipeline, Snapshot
from sluice_reranker.domain.ranking import MODEL
from sluice_reranker.rankers import registry
from sluice_reranker.service import build
from sluice_reranker.settings import RerankerSettings
from sluice_servicekit.channels import open_channel
from sluice_servicekit.errors import InvalidArgument, NotFound, Unavailable
from sluice_servicekit.grpc_server import serving
from sluice_servicekit.service import ServiceContext
from sluice_servicekit.snapshots import Snapshots
from support import cross_encoders, ranking_server
from support.ranking_server import RankingServer

TEXTS = ("poor", "fair fair", "best", "good")


@dataclass(frozen=True)
class Client:
    """The reranker."""

    stub: reranker_pb2_grpc.RerankerServiceStub
    snapshots: Snapshots

    async def take(self, **rankers: Any) -> str:
        """Puts a pipeline of each name in force; gives the reason for refusing them."""
        snapshot = Snapshot(
            pipelines={
                name: CompiledPipeline(version=name, spec=_pipeline(ranker))
                for name, ranker in rankers.items()
            }
        )
        return await self.snapshots.take(snapshot.digest, snapshot.content)

    async def rank(self, pipeline: str = "", **more: Any) -> reranker_pb2.RerankResponse:
        """The four texts' order."""
        fields = {
            "query": "which one?",
            "candidates": [common_pb2.Passage(text=text) for text in TEXTS],
            "pipeline": pipeline,
            **more,
        }
        return await self.stub.Rerank(reranker_pb2.RerankRequest(**fields), timeout=30)


def _pipeline(ranker: dict[str, Any]) -> PipelineSpec:
    return PipelineSpec.model_validate(
        {
            "knowledgeBaseRef": "kb",
            "guardrailPolicyRef": "policy",
            "steps": {"rerank": {"ranker": ranker}, "generate": {"modelServerRef": "server"}},
        }
    )


@asynccontextmanager
async def _running(folder: Path, **more: Any) -> AsyncIterator[Client]:
    snapshots = Snapshots()
    settings = RerankerSettings.model_validate({"data_dir": folder, "rerank_workers": 1, **more})
    async with (
        build(ServiceContext(settings, snapshots)) as servicers,
        serving(servicers) as address,
        open_channel(address) as channel,
    ):
        yield Client(reranker_pb2_grpc.RerankerServiceStub(channel), snapshots)


def _order(response: reranker_pb2.RerankResponse) -> list[int]:
    return [ranked.index for ranked in response.ranked]


def _processes() -> set[int]:
    """Workers that are there."""
    return {child.pid or 0 for child in multiprocessing.active_children() if child.name == "reranking"}


async def test_each_pipeline_is_served_by_its_own_ranker_which_is_loaded_once(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_LINGER", 0.0)
    path = str(cross_encoders.folder(tmp_path / "model"))
    before = _processes()
    async with _running(tmp_path) as client:
        reads = {"crossEncoder": {"path": path}}
        assert await client.take(plain={}, reading=reads, first={**reads, "candidates": 2}) == ""
        assert len(_processes() - before) == 1

        whole = await client.rank("reading")
        assert _order(whole) == [2, 1, 3, 0]  # "fair fair" is worth as much as "good"
        assert (whole.scored, whole.partial_reason) == (4, "")
        assert whole.model.startswith("model-")
        assert [ranked.score for ranked in whole.ranked] == sorted(
            (ranked.score for ranked in whole.ranked), reverse=True
        )
        assert _order(await client.rank("reading", top_k=2)) == [2, 1]

        partly = await client.rank("first")
        assert _order(partly) == [1, 0, 2, 3]
        assert (partly.scored, partly.partial_reason) == (2, "")

        for embedded in ("plain", ""):
            assert (await client.rank(embedded)).model == MODEL
        with pytest.raises(
            NotFound, match="there is no pipeline 'other' here; there is: first, plain, reading"
        ):
            await client.rank("other")
        with pytest.raises(InvalidArgument):
            await client.rank("reading", query=" ")
        assert _order(await client.rank("reading", candidates=[])) == []

        assert await client.take(plain={}) == ""
        assert (await client.rank("plain")).model == MODEL
    assert _processes() == before


async def test_a_snapshot_whose_ranker_cannot_be_loaded_is_refused_whole(tmp_path):
    good = {"crossEncoder": {"path": str(cross_encoders.folder(tmp_path / "model"))}}
    before = _processes()
    async with _running(tmp_path) as client:
        assert await client.take(reading=good) == ""
        held = _processes() - before
        refused = await client.take(
            reading={},
            other={"crossEncoder": {**good["crossEncoder"], "maxTokens": 64}},
            wrong={"crossEncoder": {"path": str(tmp_path / "none")}},
        )
        assert refused.startswith(
            f"pipeline 'wrong': the ranker's folder {tmp_path / 'none'} is not there; copy"
        )
        assert _processes() - before == held
        assert _order(await client.rank("reading"))[0] == 2
        refused = await client.take(st={"sentenceTransformers": {"path": str(tmp_path / "model")}})
        assert "pip install 'sluice-reranker[sentence-transformers]'" in refused
        refused = await client.take(far={"endpoint": {"url": "http://127.0.0.1:9", "apiKeySecret": "key"}})
        assert "set SLUICE_SECRETS_DIR" in refused


async def test_a_server_that_ranks_with_its_key_from_the_secrets_folder(tmp_path):
    (tmp_path / "key").write_text("k\n")
    server = RankingServer()
    async with ranking_server.serving(server), _running(tmp_path, secrets_dir=tmp_path) as client:
        assert await client.take(far={"endpoint": {"url": server.url, "apiKeySecret": "key"}}) == ""
        passages = [common_pb2.Passage(text=text) for text in ("1", "-1", "\ufffd", "3")]
        response = await client.rank("far", candidates=passages)
        assert _order(response) == [3, 0, 1, 2]
        assert (response.scored, response.partial_reason) == (3, "RANKER_TOO_LARGE")
        assert server.headers[0]["authorization"] == "Bearer k"
        server.statuses = [503] * 9
        with pytest.raises(Unavailable) as raised:
            await client.rank("far", candidates=passages)
        assert raised.value.reason == "RANKER_FAILED"
