"""A knowledge base is built anew beside the one in force: nothing is lost, and it can be killed at any moment."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.chaos.test_chaos_retriever import kill_store_worker
from tests.integration.retriever.conftest import SNAPSHOT, Client, running

from sluice.retriever.v1 import retriever_pb2
from sluice_api.objects.knowledge_base import DenseVectors, Graph, KnowledgeBaseSpec, Quantization
from sluice_api.snapshot import Snapshot
from sluice_servicekit.errors import FailedPrecondition, ServiceError

SCALAR = KnowledgeBaseSpec(dense=DenseVectors(quantization=Quantization.SCALAR))


async def give(client: Client, spec: KnowledgeBaseSpec) -> None:
    snapshot = Snapshot(knowledge_bases={**SNAPSHOT.knowledge_bases, "default": spec})
    assert await client.snapshots.take(snapshot.digest, snapshot.content) == ""


async def rebuild(client: Client) -> list[retriever_pb2.RebuildResponse]:
    request = retriever_pb2.RebuildRequest(principal=client.principal, knowledge_base="default")
    return [response async for response in client.stub.Rebuild(request)]


def generation(folder: Path) -> str:
    return (folder / "knowledge" / "default" / "current").read_text()


def documents(count: int) -> list[dict[str, object]]:
    return [
        {
            "id": f"d{number}",
            "text": f"Otter number {number} sleeps.",
            "acl": ["keepers"],
            "metadata_json": '{"n": 1}',
        }
        for number in range(count)
    ]


async def test_a_rebuild_keeps_every_document_of_every_tenant(tmp_path: Path) -> None:
    async with running(tmp_path) as client:
        keeper = replace(client, acl=("keepers",))
        other = replace(client, tenant="other")
        await client.ingest(documents(30))
        await other.ingest([{"id": "a", "text": "Bees dance."}])
        before = (await keeper.search("otter 7", top_k=30)).passages
        await give(client, SCALAR)

        progress = await rebuild(client)

        after = (await keeper.search("otter 7", top_k=30)).passages
        assert progress[-1].done
        assert (progress[-1].documents, progress[-1].total_documents) == (31, 31)
        assert {passage.chunk_id for passage in after} == {passage.chunk_id for passage in before}
        assert after[0].metadata_json == before[0].metadata_json
        assert await client.found("otter") == []
        assert await other.found("bees") == ["a"]
        assert generation(tmp_path) == "g000002"
        assert [path.name for path in (tmp_path / "knowledge" / "default").glob("g*")] == ["g000002"]


async def test_what_was_rebuilt_counts_as_unchanged_and_is_there_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as client:
        await client.ingest(documents(3))
        await give(client, SCALAR)
        await rebuild(client)
        [reply] = await client.ingest(documents(1))
    async with running(tmp_path) as again:
        assert reply.outcome == retriever_pb2.INGEST_OUTCOME_UNCHANGED
        assert await again.usage() == (3, 3)


async def test_documents_come_and_go_while_another_generation_is_built(tmp_path: Path) -> None:
    async with running(tmp_path) as client:
        await client.ingest(documents(40))
        await give(client, SCALAR)
        building = asyncio.create_task(rebuild(client))

        version = 0
        while not building.done():
            version += 1
            await client.ingest([{"id": "moving", "text": f"Badger in version {version}."}])
            await client.stub.DeleteDocuments(
                retriever_pb2.DeleteDocumentsRequest(
                    principal=client.principal, knowledge_base="default", document_ids=[f"d{version - 1}"]
                )
            )
            assert "moving" in await client.found("badger version")
        gone = version

        assert (await building)[-1].done
        [passage] = [
            each
            for each in (await client.search("badger version", top_k=50)).passages
            if each.document_id == "moving"
        ]
        assert passage.text == f"Badger in version {version}."
        assert await client.usage() == (41 - min(gone, 40), 41 - min(gone, 40))


async def test_a_graph_is_built_and_found_with(tmp_path: Path) -> None:
    async with running(tmp_path) as client:
        await client.ingest(
            [{"id": f"d{number}", "text": f"Otter number {number} sleeps."} for number in range(50)]
        )
        await give(client, KnowledgeBaseSpec(dense=DenseVectors(graph=Graph.ON)))

        await rebuild(client)

        assert (await client.found("Otter number 7 sleeps."))[0] == "d7"


async def test_one_rebuild_at_a_time(tmp_path: Path) -> None:
    async with running(tmp_path) as client:
        await client.ingest(documents(60))
        first = client.stub.Rebuild(
            retriever_pb2.RebuildRequest(principal=client.principal, knowledge_base="default")
        )
        await anext(aiter(first))

        with pytest.raises(FailedPrecondition, match="already") as refused:
            await rebuild(client)
        rest = [response async for response in first]

    assert refused.value.reason == "REBUILD_RUNNING"
    assert rest[-1].done


@pytest.mark.needs("procfs")
async def test_a_rebuild_whose_workers_are_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    async with running(tmp_path) as client:
        await client.ingest(
            [{"id": f"d{number}", "text": f"Otter number {number} sleeps."} for number in range(60)]
        )
        await give(client, SCALAR)
        attempts = 0
        while True:
            attempts += 1
            building = asyncio.create_task(rebuild(client))
            if attempts < 4:
                await asyncio.sleep(0.3 * attempts)
                kill_store_worker(os.getpid())
            try:
                assert (await building)[-1].done
                break
            except ServiceError:
                assert await client.found("Otter number 7 sleeps.")
        found = await client.found("Otter number 7 sleeps.", top_k=60)

        assert await client.usage() == (60, 60)
        assert len(found) == 60


async def test_a_cancelled_rebuild_can_be_asked_for_again(tmp_path: Path) -> None:
    async with running(tmp_path) as client:
        await client.ingest(documents(60))
        await give(client, SCALAR)
        call = client.stub.Rebuild(
            retriever_pb2.RebuildRequest(principal=client.principal, knowledge_base="default")
        )
        await anext(aiter(call))
        await call.aclose()

        while True:
            try:
                last = (await rebuild(client))[-1]
                break
            except FailedPrecondition:  # the cancelled one is still on its way out
                await asyncio.sleep(0.1)

        assert last.done
        assert generation(tmp_path) == last.generation
        assert await client.usage() == (60, 60)
