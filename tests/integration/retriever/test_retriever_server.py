"""The retriever on a Qdrant server: the whole path, over the double of one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from qdrant_client import models
from tests.integration.retriever.conftest import Client, running

from sluice.retriever.v1 import retriever_pb2
from sluice_api.objects.knowledge_base import Deployment, KnowledgeBaseSpec, SelfHosted
from sluice_api.snapshot import Snapshot
from sluice_servicekit.errors import ServiceError, Unavailable
from support.qdrant_server import QdrantServer, serving

DOCUMENTS = [
    {"id": "tea", "text": "Green tea is steeped at 80 degrees. Black tea takes boiling water."},
    {"id": "coffee", "text": "Espresso is pressed through ground coffee at nine bars."},
    {"id": "bread", "text": "Dough rests overnight. The oven is heated to 240 degrees."},
]
QUESTION = "How hot is the water for green tea?"


def on(where: SelfHosted) -> Snapshot:
    """One knowledge base on the server, one in the embedded engine."""
    return Snapshot(
        knowledge_bases={
            "default": KnowledgeBaseSpec(deployment=Deployment(self_hosted=where)),
            "here": KnowledgeBaseSpec(),
        }
    )


@pytest.fixture
async def server() -> AsyncIterator[QdrantServer]:
    """A double of a cluster."""
    async with serving(QdrantServer(version="1.19.0")) as server:
        yield server


@pytest.mark.parametrize("cluster", [True, False])
async def test_documents_go_in_are_found_and_go(cluster: bool, tmp_path: Path) -> None:
    async with (
        serving(QdrantServer(version="1.19.0", cluster=cluster)) as server,
        running(tmp_path, on(server.self_hosted)) as client,
    ):
        outcomes = [response.outcome for response in await client.ingest(DOCUMENTS)]
        again = [response.outcome for response in await client.ingest(DOCUMENTS)]
        found = await client.found(QUESTION)
        before = await client.usage()
        request = retriever_pb2.DeleteDocumentsRequest(
            principal=client.principal, knowledge_base="default", document_ids=["tea"]
        )
        deleted = await client.stub.DeleteDocuments(request)
        after = await client.found(QUESTION)

    assert set(outcomes) == {retriever_pb2.INGEST_OUTCOME_STORED}
    assert set(again) == {retriever_pb2.INGEST_OUTCOME_UNCHANGED}
    assert (found[0], before, deleted.deleted) == ("tea", (3, 3), 1)
    assert "tea" not in after


async def test_server_tells_no_epoch_since_others_write_there_too(
    server: QdrantServer, tmp_path: Path
) -> None:
    async with running(tmp_path, on(server.self_hosted)) as client:
        request = retriever_pb2.GetEpochsRequest(
            principal=client.principal, knowledge_bases=["default", "here"]
        )
        there, here = (await client.stub.GetEpochs(request)).epochs
    assert there == retriever_pb2.Epoch(knowledge_base="default")
    assert here.HasField("number")


async def test_both_engines_rank_alike(server: QdrantServer, tmp_path: Path) -> None:
    async with running(tmp_path, on(server.self_hosted)) as client:
        here = Client(client.stub, client.snapshots, knowledge_base="here")
        answers = []
        for each in (client, here):
            await each.ingest(DOCUMENTS)
            response = await each.search(QUESTION)
            answers.append({passage.document_id: round(passage.score, 5) for passage in response.passages})

    assert answers[0] == answers[1]
    assert len(answers[0]) == 3


async def test_replicas_see_each_others_documents(server: QdrantServer, tmp_path: Path) -> None:
    snapshot = on(server.self_hosted)
    async with running(tmp_path / "a", snapshot) as one, running(tmp_path / "b", snapshot) as other:
        await one.ingest(DOCUMENTS)
        found = await other.found(QUESTION)
        [changed, *_] = await other.ingest([{"id": "tea", "text": "Tea was sold out."}])
        after = await one.found("Was tea sold out?")
        usage = await one.usage()

    assert found[0] == after[0] == "tea"
    assert changed.outcome == retriever_pb2.INGEST_OUTCOME_STORED
    assert usage == (3, 3)


async def test_a_tenant_sees_its_own_documents_only(server: QdrantServer, tmp_path: Path) -> None:
    async with running(tmp_path, on(server.self_hosted)) as client:
        await client.ingest(DOCUMENTS)
        other = Client(client.stub, client.snapshots, tenant="bolt")
        await other.ingest([{"id": "own", "text": "Water for green tea, by bolt."}])

        assert await other.found(QUESTION) == ["own"]
        assert "own" not in await client.found(QUESTION)


async def test_a_tenant_that_has_a_shard_of_its_own_is_served_from_it(tmp_path: Path) -> None:
    async with serving(QdrantServer()) as server, running(tmp_path, on(server.self_hosted)) as client:
        server.set_state("default", "acme", models.ReplicaState.ACTIVE)
        await client.ingest(DOCUMENTS)
        shards = server.state.collection("default").shards
        counts = {key: shard.client.count("shard").count for key, shard in shards.items()}

        assert (await client.found(QUESTION))[0] == "tea"
    assert counts == {"default": 0, "acme": 6}


async def test_a_server_that_fails_is_told_with_a_reason(server: QdrantServer, tmp_path: Path) -> None:
    async with running(tmp_path, on(server.self_hosted)) as client:
        await client.ingest(DOCUMENTS)
        server.unavailable = True
        with pytest.raises(Unavailable) as raised:
            await client.search(QUESTION)
        server.unavailable = False

        assert (await client.found(QUESTION))[0] == "tea"
    assert raised.value.reason == "QDRANT_UNREACHABLE"
    assert raised.value.retry_after is not None


async def test_a_server_that_is_not_there_yet_costs_the_other_knowledge_bases_nothing(
    server: QdrantServer, tmp_path: Path
) -> None:
    server.unavailable = True
    async with running(tmp_path, on(server.self_hosted)) as client:
        here = Client(client.stub, client.snapshots, knowledge_base="here")
        await here.ingest(DOCUMENTS)
        found = await here.found(QUESTION)
        with pytest.raises(Unavailable, match="cannot be reached"):
            await client.ingest(DOCUMENTS)
        server.unavailable = False
        await eventually(client)

    assert found[0] == "tea"


async def test_a_rebuild_is_followed_by_the_other_replicas(server: QdrantServer, tmp_path: Path) -> None:
    snapshot = on(server.self_hosted)
    async with running(tmp_path / "a", snapshot) as one, running(tmp_path / "b", snapshot) as other:
        await one.ingest(DOCUMENTS)
        request = retriever_pb2.RebuildRequest(principal=one.principal, knowledge_base="default")
        progress = [response async for response in one.stub.Rebuild(request)]
        mine = await one.found(QUESTION)
        with pytest.raises(Unavailable) as raised:
            await other.search(QUESTION)
        await eventually(other)
        theirs = await other.found(QUESTION)

        assert server.state.aliases == {"default": "default--g000002"}
        assert list(server.state.collections) == ["default--g000002"]
    assert progress[-1].done
    assert mine[0] == theirs[0] == "tea"
    assert raised.value.reason == "GENERATION_REPLACED"


async def test_a_server_that_is_too_old_is_refused_with_the_snapshot(tmp_path: Path) -> None:
    async with serving(QdrantServer(version="1.16.3")) as server:
        with pytest.raises(AssertionError, match=r"Qdrant is 1\.16\.3; 1\.17\.1 or newer is needed"):
            async with running(tmp_path, on(server.self_hosted)):
                pass


async def eventually(client: Client) -> None:
    """Returns once the knowledge base is open."""
    async with asyncio.timeout(30):
        while True:
            try:
                await client.usage()
            except ServiceError:
                await asyncio.sleep(0.1)
            else:
                return
