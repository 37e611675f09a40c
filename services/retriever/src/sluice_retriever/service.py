"""Puts the retriever together."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial

from aiohttp import ThreadedResolver

from sluice.retriever.v1 import retriever_pb2_grpc
from sluice_api.objects.knowledge_base import Embedding
from sluice_api.snapshot import Snapshot
from sluice_retriever import numeric
from sluice_retriever.arriving import Arrivals
from sluice_retriever.encoding.encoders import Encoders
from sluice_retriever.fetching.fetcher import Fetcher
from sluice_retriever.ingestion import Ingestion
from sluice_retriever.keyword.opening import KeywordStores
from sluice_retriever.preparing.preparer import Bounds, Preparer
from sluice_retriever.questions import Questions
from sluice_retriever.servicer import RetrieverServicer
from sluice_retriever.settings import RetrieverSettings
from sluice_retriever.store.edge.engine import EdgeEngine
from sluice_retriever.store.engines import Engines
from sluice_retriever.store.knowledge_bases import KnowledgeBases
from sluice_retriever.sweeping import Sweep, keep_sweeping
from sluice_servicekit.service import ServiceContext, Servicer


@dataclass(frozen=True)
class Retriever:
    """The retriever without its transport."""

    questions: Questions
    ingestion: Ingestion
    knowledge_bases: KnowledgeBases


@asynccontextmanager
async def opened(settings: RetrieverSettings) -> AsyncIterator[Retriever]:
    """A retriever and its workers, for the length of the block; its knowledge bases are still to be applied."""
    numeric.stay_on_one_thread()
    bounds = Bounds(settings.parser_processes, settings.parser_seconds, settings.parser_memory_mib << 20)
    with (
        closing(Preparer(bounds)) as preparer,
        ThreadPoolExecutor(settings.question_threads, "question") as question_threads,
        ThreadPoolExecutor(1, "ingestion") as ingestion_threads,
    ):
        encoders = Encoders(
            settings.ingestion_threads, question_threads, ingestion_threads, settings.secrets_dir
        )
        root = settings.data_dir / "knowledge"
        embedded = EdgeEngine(root, settings.search_threads)
        embedded.start()
        fetcher = Fetcher(
            settings.fetch_policy, ThreadedResolver(), settings.fetch_seconds, settings.fetch_concurrency
        )
        keywords = KeywordStores(root, settings.secrets_dir)
        knowledge_bases = KnowledgeBases(Engines(embedded, settings.secrets_dir), encoders, keywords)
        try:
            yield Retriever(
                Questions(knowledge_bases, await encoders.of(Embedding())),
                Ingestion(knowledge_bases, Arrivals(fetcher, time.time), preparer),
                knowledge_bases,
            )
        finally:
            await knowledge_bases.close()
            await encoders.aclose()


@asynccontextmanager
async def build(context: ServiceContext[RetrieverSettings]) -> AsyncIterator[list[Servicer]]:
    """The retriever and its workers, for the length of the block."""
    async with opened(context.settings) as retriever:

        async def apply(snapshot: Snapshot) -> None:
            await retriever.knowledge_bases.apply(snapshot.knowledge_bases)

        context.snapshots.on_change(apply)
        sweeping = asyncio.create_task(
            keep_sweeping(
                lambda: sweeps(retriever.knowledge_bases), time.time, context.settings.sweep_seconds
            )
        )
        try:
            yield [
                Servicer(
                    retriever_pb2_grpc.add_RetrieverServiceServicer_to_server,
                    RetrieverServicer(retriever.questions, retriever.ingestion, retriever.knowledge_bases),
                    "sluice.retriever.v1.RetrieverService",
                )
            ]
        finally:
            sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sweeping


def sweeps(knowledge_bases: KnowledgeBases) -> Mapping[str, Sweep]:
    """Each knowledge base's sweep, by name; it writes like any other."""

    async def sweep(name: str, now: float) -> int:
        async with knowledge_bases.home(name).writing.shared():
            return await knowledge_bases.home(name).store.sweep(now)

    return {home.name: partial(sweep, home.name) for home in knowledge_bases.homes()}
