"""Shards built and asked, and what came of it: rows for a table."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from evaluation import exact, shards
from evaluation.measures import scores
from evaluation.shards import Asking, Built
from evaluation.windows import Asked, Windows
from sluice_api.objects.knowledge_base import Quantization
from sluice_retriever.domain.model import Floats
from sluice_retriever.store.edge import worker
from sluice_retriever.worker_pool import WorkerPool

#: How a shard is searched.
SCAN, OPTIMIZED, GRAPH = "scan", "scan, optimized", "graph"

_LONGEST = 6 * 3600.0

#: Questions for which times are taken, at each number of concurrent ones.
_TIMED = 200


@dataclass(frozen=True)
class Row:
    """One measurement."""

    vectors: int
    data: str
    """`real`, or `synthetic` where real vectors were drawn anew with noise."""
    preset: str
    index: str
    """`scan` as ingestion leaves the shard, `scan, optimized` after `optimize` without a graph, or `graph`."""
    filter: str
    acorn: str
    oversampling: float
    recall: float
    """recall@10 against exact float32."""
    ndcg: float
    """nDCG@10 against exact float32, graded by its ranks."""
    labelled: float
    """nDCG@10 of labelled questions' documents, divided by what exact float32 reaches; NaN where that is nothing."""
    p50_ms: float
    p95_ms: float
    p50_ms_of_8: float
    """With eight questions on their way at once."""
    p95_ms_of_8: float

    @classmethod
    def names(cls) -> list[str]:
        """The columns."""
        return [field.name for field in fields(cls)]


@dataclass(frozen=True)
class Data:
    """What is indexed and asked, and the exact answers."""

    windows: Windows
    asked: Asked
    path: Path
    """The vectors as a .npy file."""
    kind: str

    @property
    def size(self) -> int:
        """How many vectors."""
        return len(self.windows.vectors)

    def first(self, count: int) -> Windows:
        """The beginning, which is a random sample."""
        return Windows(self.windows.vectors[:count], self.windows.documents[:count])


class Shard:
    """A shard in its worker process."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool

    async def insert(
        self, path: Path, start: int, end: int, held: dict[str, Sequence[bool]] | None = None
    ) -> float:
        """Writes vectors; gives seconds."""
        return await self._pool.run(shards.insert, path, start, end, held or {})

    async def optimize(self) -> Built:
        """Builds the graph."""
        return await self._pool.run(shards.optimize)

    async def disk(self) -> int:
        """Bytes on disk."""
        return await self._pool.run(shards.disk)

    async def resident(self) -> int:
        """Bytes in the worker's memory."""
        return await self._pool.run(shards.resident)

    async def answers(self, askings: Sequence[Asking]) -> tuple[list[list[int]], list[float]]:
        """What each finds, one after the other, and the milliseconds each took with the pipe."""
        found, taken = [], []
        for asking in askings:
            started = time.perf_counter()
            ids, _ = await self._pool.run(shards.search, asking)
            taken.append((time.perf_counter() - started) * 1000)
            found.append(ids)
        return found, taken

    async def concurrently(self, askings: Sequence[Asking], count: int) -> list[float]:
        """The milliseconds each took where `count` are always on their way."""
        waiting = iter(askings)
        taken: list[float] = []

        async def client() -> None:
            for asking in waiting:
                started = time.perf_counter()
                await self._pool.run(shards.search, asking)
                taken.append((time.perf_counter() - started) * 1000)

        await asyncio.gather(*(client() for _ in range(count)))
        return taken


@asynccontextmanager
async def shard(
    directory: Path, preset: Quantization, *, graph: bool, full_scan_kb: int | None = None
) -> AsyncIterator[Shard]:
    """An empty shard, gone after the block."""
    pool = WorkerPool("bench's worker", worker.start, longest=_LONGEST)
    try:
        given = shards.manifest(preset, graph=graph)
        await pool.run(shards.open_new, directory, given, full_scan_kb)
        yield Shard(pool)
        await pool.run(shards.close)
    finally:
        await asyncio.to_thread(pool.close)


async def measured(
    shard_: Shard,
    data: Data,
    count: int,
    what: tuple[str, str],
    oversampling: float = 3.0,
    filter_: tuple[str, tuple[str, ...]] = ("", ()),
    passing: np.ndarray | None = None,
    *,
    acorn: bool = False,
) -> Row:
    """Quality over all questions and times over some.

    Args:
        shard_: Holds the first `count` vectors.
        data: The vectors and questions.
        count: How many there are in it.
        what: Preset and index.
        oversampling: Of the search.
        filter_: Its name and the fields that must hold.
        passing: Which vectors the filter lets pass.
        acorn: Also neighbours' neighbours.
    """
    windows = data.first(count)
    best = exact.nearest(windows.vectors, data.asked.vectors, passing)
    askings = [Asking(vector, oversampling, filter_[1], acorn) for vector in data.asked.vectors]
    await shard_.answers(askings[:20])
    found, taken = await shard_.answers(askings)
    eight = await shard_.concurrently(askings[:_TIMED], 8)
    return Row(
        count,
        data.kind,
        *what,
        filter_[0],
        "on" if acorn else "off",
        oversampling,
        exact.recall(best, found),
        exact.ndcg(best, found),
        _labelled(windows, data.asked, found) / (_labelled(windows, data.asked, best.tolist()) or math.nan),
        *np.percentile(taken, [50, 95]).tolist(),
        *np.percentile(eight, [50, 95]).tolist(),
    )


def _labelled(windows: Windows, asked: Asked, found: Sequence[Sequence[int]]) -> float:
    """Mean nDCG@10 of the questions that have answers among these windows' documents."""
    there = set(windows.documents)
    labels, rankings = {}, {}
    for number, (answers, rows) in enumerate(zip(asked.answers, found, strict=True)):
        if kept := {name: grade for name, grade in answers.items() if name in there}:
            labels[str(number)] = kept
            rankings[str(number)] = list(dict.fromkeys(windows.documents[row] for row in rows if row >= 0))
    values = list(scores(labels, rankings)["nDCG@10"].values())
    return float(np.mean(values)) if values else math.nan


def saved(vectors: Floats, path: Path) -> Path:
    """The vectors as a file that the worker can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, vectors)
    return path
