"""A reranker as a process of its own, and what it makes of questions' candidates over gRPC on loopback."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from rich.progress import Progress

from evaluation.asking import TENANT, Asked
from evaluation.stages import RERANKED
from sluice.common.v1 import common_pb2
from sluice.reranker.v1 import reranker_pb2, reranker_pb2_grpc
from sluice.snapshot.v1 import snapshot_pb2_grpc
from sluice_api.objects.pipeline import PipelineSpec
from sluice_api.objects.ranker import CrossEncoder, LateInteraction, Ranker
from sluice_api.objects.steps import GenerateStep, RerankStep, Steps
from sluice_api.snapshot import CompiledPipeline, Snapshot
from sluice_retriever.conversion import passage_message, question_vectors_message
from sluice_servicekit.channels import open_channel
from sluice_servicekit.errors import ServiceError
from sluice_servicekit.grpc_server import Servicer, serving
from sluice_servicekit.snapshot_server import Publisher, SnapshotServicer

_START_SECONDS = 300.0
EMBEDDED = "embedded"


def rankers(cross_encoder: str) -> dict[str, Ranker]:
    """What is compared, by name: a cross-encoder too where there is a folder with one."""
    found = {EMBEDDED: Ranker(), "late interaction": Ranker(late_interaction=LateInteraction())}
    if cross_encoder:
        found["cross-encoder"] = Ranker(cross_encoder=CrossEncoder(path=cross_encoder))
    return found


@dataclass(frozen=True)
class Load:
    """What a ranker made of questions, and what it took."""

    documents: Mapping[str, Sequence[str]]
    """By question, best first; a document stands where its best chunk does."""
    milliseconds: Sequence[float]
    cpu_milliseconds: float
    """Of the reranker and its workers, for each question."""

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        return float(np.percentile(self.milliseconds, share))


@dataclass(frozen=True)
class Reranker:
    """A running one."""

    stub: "reranker_pb2_grpc.RerankerServiceAsyncStub"
    process: psutil.Process

    async def load(
        self, ranker: str, asked: Mapping[str, Asked], at_once: int, progress: Progress | None = None
    ) -> Load:
        """Asks all questions, so many on their way at once."""
        requests = {query: _request(found, ranker) for query, found in asked.items()}
        task = progress.add_task(f"{ranker}, {at_once} at once", total=len(requests)) if progress else None
        turns = asyncio.Semaphore(at_once)
        milliseconds: list[float] = []
        documents: dict[str, Sequence[str]] = {}

        async def one(query: str) -> None:
            async with turns:
                started = time.perf_counter()
                response = await self.stub.Rerank(requests[query], timeout=_START_SECONDS)
                milliseconds.append((time.perf_counter() - started) * 1000)
            passages = asked[query].passages
            documents[query] = list(dict.fromkeys(passages[row.index].document_id for row in response.ranked))
            if progress and task is not None:
                progress.advance(task)

        before = self._cpu_seconds()
        await asyncio.gather(*map(one, requests))
        spent = (self._cpu_seconds() - before) * 1000 / max(1, len(requests))
        return Load(documents, milliseconds, spent)

    def _cpu_seconds(self) -> float:
        times = [each.cpu_times() for each in (self.process, *self.process.children(recursive=True))]
        return float(sum(each.user + each.system for each in times))


@asynccontextmanager
async def reranker(folder: Path, compared: Mapping[str, Ranker]) -> AsyncIterator[Reranker]:
    """One for the length of the block, with a pipeline for each ranker, ready."""
    pipelines = {
        name: CompiledPipeline(version=name, spec=_pipeline(ranker)) for name, ranker in compared.items()
    }
    servicer = Servicer(
        snapshot_pb2_grpc.add_SnapshotServiceServicer_to_server,
        SnapshotServicer(Publisher(Snapshot(pipelines=pipelines))),
        "sluice.snapshot.v1.SnapshotService",
    )
    async with serving([servicer]) as snapshots:
        address = f"127.0.0.1:{_free_port()}"
        settings = {
            "SLUICE_LISTEN": address,
            "SLUICE_SNAPSHOT_ADDRESS": snapshots,
            "SLUICE_DATA_DIR": str(folder),
            "SLUICE_LOG_LEVEL": "WARNING",
        }
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sluice_reranker", env={**os.environ, **settings}
        )
        try:
            async with open_channel(address, peer="reranker") as channel:
                there = Reranker(reranker_pb2_grpc.RerankerServiceStub(channel), psutil.Process(child.pid))
                for name in compared:
                    await _answers(there, name)
                yield there
        finally:
            child.terminate()
            await child.wait()


def _pipeline(ranker: Ranker) -> PipelineSpec:
    return PipelineSpec(
        knowledge_base_ref="evaluation",
        guardrail_policy_ref="default",
        steps=Steps(rerank=RerankStep(ranker=ranker), generate=GenerateStep(model_server_ref="extractive")),
    )


def _request(asked: Asked, pipeline: str) -> reranker_pb2.RerankRequest:
    return reranker_pb2.RerankRequest(
        principal=common_pb2.Principal(tenant=TENANT),
        query=asked.text,
        question_vectors=question_vectors_message(asked.vectors) if asked.vectors is not None else None,
        candidates=[passage_message(passage) for passage in asked.passages[:RERANKED]],
        pipeline=pipeline,
    )


async def _answers(there: Reranker, pipeline: str) -> None:
    until = time.monotonic() + _START_SECONDS
    probe = reranker_pb2.RerankRequest(
        query="Is it ready?", candidates=[common_pb2.Passage(text="It is.")], pipeline=pipeline
    )
    while True:
        try:
            await there.stub.Rerank(probe)
        except ServiceError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.1)
        else:
            return


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port
