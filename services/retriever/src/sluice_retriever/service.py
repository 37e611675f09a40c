"""Puts the retriever together."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing

from sluice.retriever.v1 import retriever_pb2_grpc
from sluice_api.snapshot import Snapshot
from sluice_retriever import numeric
from sluice_retriever.encoding.encoder import Encoder
from sluice_retriever.ingestion import Ingestion
from sluice_retriever.preparing.preparer import Bounds, Preparer
from sluice_retriever.questions import Questions
from sluice_retriever.servicer import RetrieverServicer
from sluice_retriever.settings import RetrieverSettings
from sluice_retriever.store.knowledge_bases import KnowledgeBases
from sluice_servicekit.service import ServiceContext, Servicer


@asynccontextmanager
async def build(context: ServiceContext[RetrieverSettings]) -> AsyncIterator[list[Servicer]]:
    """The retriever and its workers, for the length of the block."""
    numeric.stay_on_one_thread()
    settings = context.settings
    knowledge_bases = KnowledgeBases(settings.data_dir / "knowledge", settings.search_threads)
    knowledge_bases.start()

    async def apply(snapshot: Snapshot) -> None:
        await knowledge_bases.apply(snapshot.knowledge_bases)

    context.snapshots.on_change(apply)
    bounds = Bounds(settings.parser_processes, settings.parser_seconds, settings.parser_memory_mib << 20)
    with (
        closing(Preparer(bounds)) as preparer,
        ThreadPoolExecutor(settings.question_threads, "question") as question_threads,
        ThreadPoolExecutor(1, "ingestion") as ingestion_threads,
    ):
        encoder = Encoder(settings.ingestion_threads)
        servicer = RetrieverServicer(
            Questions(knowledge_bases, encoder, question_threads),
            Ingestion(knowledge_bases, preparer, encoder, ingestion_threads),
        )
        try:
            yield [
                Servicer(
                    retriever_pb2_grpc.add_RetrieverServiceServicer_to_server,
                    servicer,
                    "sluice.retriever.v1.RetrieverService",
                )
            ]
        finally:
            await knowledge_bases.close()
