"""A tenant's epoch changes with every acknowledged write, whatever happens to the processes around it."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.chaos.test_chaos_retriever import kill_store_worker
from tests.integration.retriever.conftest import Client, running
from tests.integration.retriever.test_retriever_rebuilding import rebuild

from sluice.retriever.v1 import retriever_pb2
from sluice_servicekit.errors import InvalidArgument, NotFound

DOCUMENT = {"id": "a", "text": "Otters hold hands while they sleep."}


async def epoch(client: Client, *names: str) -> retriever_pb2.Epoch:
    request = retriever_pb2.GetEpochsRequest(principal=client.principal, knowledge_bases=names or ["default"])
    return (await client.stub.GetEpochs(request)).epochs[0]


async def delete(client: Client, document_id: str) -> None:
    request = retriever_pb2.DeleteDocumentsRequest(
        principal=client.principal, knowledge_base="default", document_ids=[document_id]
    )
    await client.stub.DeleteDocuments(request)


async def test_every_acknowledged_write_is_told_over_restart_crash_and_rebuild(tmp_path: Path) -> None:
    seen: list[retriever_pb2.Epoch] = []
    async with running(tmp_path) as client:
        other = await epoch(replace(client, tenant="other"))
        seen.append(await epoch(client))
        await client.ingest([DOCUMENT])
        seen.append(await epoch(client))
        await client.ingest([DOCUMENT])  # unchanged
        assert await epoch(client) == seen[-1]
        await client.ingest([{**DOCUMENT, "metadata_json": '{"v": 2}'}])
        seen.append(await epoch(client))
        kill_store_worker(os.getpid())
        assert await client.found("otters") == ["a"]  # by the next worker
        assert await epoch(client) == seen[-1]
        await delete(client, "a")
        seen.append(await epoch(client))
        assert await epoch(replace(client, tenant="other")) == other
    async with running(tmp_path) as client:
        assert await epoch(client) == seen[-1]
        await rebuild(client)
        seen.append(await epoch(client))
    keys = [(each.generation, each.number) for each in seen]
    assert len(set(keys)) == len(keys)
    assert keys == sorted(keys)


async def test_epochs_are_of_knowledge_bases_that_there_are(tmp_path: Path) -> None:
    async with running(tmp_path) as client:
        request = retriever_pb2.GetEpochsRequest(
            principal=client.principal, knowledge_bases=["short", "default"]
        )
        found = (await client.stub.GetEpochs(request)).epochs
        assert [each.knowledge_base for each in found] == ["short", "default"]
        with pytest.raises(NotFound):
            await epoch(client, "nowhere")
        with pytest.raises(InvalidArgument):
            await client.stub.GetEpochs(retriever_pb2.GetEpochsRequest(principal=client.principal))
