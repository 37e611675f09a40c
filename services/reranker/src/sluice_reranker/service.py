"""Puts the reranker together."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sluice.reranker.v1 import reranker_pb2_grpc
from sluice_api.snapshot import Snapshot
from sluice_reranker.batching.pool import Workers
from sluice_reranker.rankers.registry import Rankers
from sluice_reranker.servicer import RerankerServicer
from sluice_reranker.settings import RerankerSettings
from sluice_servicekit import cores
from sluice_servicekit.service import ServiceContext, Servicer


@asynccontextmanager
async def build(context: ServiceContext[RerankerSettings]) -> AsyncIterator[list[Servicer]]:
    """The rankers, for the length of the block."""
    settings = context.settings
    workers = Workers(
        settings.rerank_workers or cores.available(),
        _own_cores() if settings.rerank_pinned else (),
        settings.rerank_waiting,
    )
    rankers = Rankers(workers, settings.data_dir / "rankers", settings.secrets_dir)

    async def apply(snapshot: Snapshot) -> None:
        await rankers.apply({name: each.spec.steps.rerank for name, each in snapshot.pipelines.items()})

    context.snapshots.on_change(apply)
    try:
        yield [
            Servicer(
                reranker_pb2_grpc.add_RerankerServiceServicer_to_server,
                RerankerServicer(rankers),
                "sluice.reranker.v1.RerankerService",
            )
        ]
    finally:
        await rankers.close()


def _own_cores() -> Sequence[int]:
    """The cores that this process may run on, by number."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else ()
