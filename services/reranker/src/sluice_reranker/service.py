"""Puts the reranker together."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from sluice.reranker.v1 import reranker_pb2_grpc
from sluice_reranker.servicer import RerankerServicer
from sluice_servicekit.service import ServiceContext, Servicer
from sluice_servicekit.settings import ServiceSettings


@asynccontextmanager
async def build(context: ServiceContext[ServiceSettings]) -> AsyncIterator[list[Servicer]]:
    """The embedded ranker, for the length of the block."""
    with ThreadPoolExecutor(1, "ranking") as thread:
        yield [
            Servicer(
                reranker_pb2_grpc.add_RerankerServiceServicer_to_server,
                RerankerServicer(thread),
                "sluice.reranker.v1.RerankerService",
            )
        ]
