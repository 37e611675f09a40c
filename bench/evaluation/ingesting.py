"""How fast documents are stored, and what they take."""

import tempfile
import time
from pathlib import Path

from rich.console import Console

from evaluation import footprint
from evaluation.asking import CACHE, GROUP, KNOWLEDGE_BASE, TENANT
from evaluation.labelled import Collection
from sluice_api.objects.knowledge_base import KnowledgeBaseSpec
from sluice_retriever.service import opened
from sluice_retriever.settings import RetrieverSettings

_DOCUMENTS = 256


async def ingestion(collection: Collection, console: Console) -> None:
    """Documents and chunks a second into an empty knowledge base, with nothing remembered; bytes by part."""
    documents = collection.documents[:_DOCUMENTS]
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        async with opened(RetrieverSettings(data_dir=Path(folder))) as retriever:
            await retriever.knowledge_bases.apply({KNOWLEDGE_BASE: KnowledgeBaseSpec()})
            started = time.perf_counter()
            for start in range(0, len(documents), GROUP):
                group = documents[start : start + GROUP]
                async for _ in retriever.ingestion.ingest(TENANT, KNOWLEDGE_BASE, group):
                    pass
            seconds = time.perf_counter() - started
            chunks = (await retriever.ingestion.usage(TENANT, KNOWLEDGE_BASE)).chunks
        console.print(
            f"ingestion, {collection.name}: {len(documents) / seconds:.1f} documents and"
            f" {chunks / seconds:.1f} chunks a second"
        )
        console.print(footprint.by_kind(Path(folder), chunks))
