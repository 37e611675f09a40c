"""What a knowledge base's `chunking.method` does to its documents."""

from pathlib import Path

import pytest
from tests.integration.retriever.conftest import Client, running

from sluice.retriever.v1 import retriever_pb2
from sluice_api.objects.knowledge_base import Chunking, ChunkingMethod, KnowledgeBaseSpec
from sluice_api.snapshot import Snapshot

HANDBOOK = {
    "id": "handbook",
    "title": "Handbook",
    "media_type": "text/markdown",
    "text": "# Otters\nThey hold hands while they sleep.\n# Badgers\nThey dig tunnels.",
}


def _snapshot(method: ChunkingMethod) -> Snapshot:
    return Snapshot(knowledge_bases={"default": KnowledgeBaseSpec(chunking=Chunking(method=method))})


async def _passages(client: Client) -> list[tuple[str, str]]:
    response = await client.search("animals that sleep")
    return sorted((passage.title, passage.text) for passage in response.passages)


@pytest.mark.asyncio
async def test_another_method_cuts_the_same_document_anew(tmp_path: Path) -> None:
    async with running(tmp_path, _snapshot(ChunkingMethod.HEADING)) as client:
        await client.ingest([HANDBOOK])
        assert await _passages(client) == [
            ("Handbook › Badgers", "They dig tunnels."),
            ("Handbook › Otters", "They hold hands while they sleep."),
        ]

        snapshot = _snapshot(ChunkingMethod.RECURSIVE)
        assert await client.snapshots.take(snapshot.digest, snapshot.content) == ""
        [reply] = await client.ingest([HANDBOOK])

        assert reply.outcome == retriever_pb2.INGEST_OUTCOME_STORED
        assert await _passages(client) == [
            ("Handbook", "Otters\nThey hold hands while they sleep.\nBadgers\nThey dig tunnels.")
        ]
        [again] = await client.ingest([HANDBOOK])
        assert again.outcome == retriever_pb2.INGEST_OUTCOME_UNCHANGED
