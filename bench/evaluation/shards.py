"""A shard with nothing but dense vectors, in a worker process as the retriever's. The functions run in the worker."""

import asyncio
import resource
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge
from qdrant_client import models

from sluice_api.filtering import Filter, Match
from sluice_api.objects.knowledge_base import DenseVectors, Graph, KnowledgeBaseSpec, Quantization
from sluice_retriever.domain.model import DENSE_DIMENSION, Floats, Reader
from sluice_retriever.store import filters
from sluice_retriever.store.edge import schema
from sluice_retriever.store.edge.backend import EdgeBackend
from sluice_retriever.store.edge.directory import open_shard
from sluice_retriever.store.schema import Manifest, Payload, Shape, Vector

_TENANT = "bench"
_BATCH = 1000

#: Metadata fields that a given share of the points has, for filters.
SHARES = {"one": 0.01, "five": 0.05, "twenty": 0.2, "fifty": 0.5}


@dataclass(frozen=True)
class Asking:
    """A search of the dense leg."""

    vector: Floats
    oversampling: float
    fields: tuple[str, ...] = ()
    """All of these must hold."""
    acorn: bool = False
    limit: int = 10


@dataclass(frozen=True)
class Built:
    """What it took to build a graph."""

    seconds: float
    longest_gap: float
    """Seconds for which no other thread of the process ran."""
    indexed: int
    """Vectors that it holds: none below the engine's threshold, where the shard stays as it was."""


class _Open:
    def __init__(self, directory: Path, manifest: Manifest, full_scan_kb: int | None) -> None:
        self.directory = directory
        config = schema.edge_config(manifest, 1)
        if full_scan_kb is not None:
            config = edge.EdgeConfig(vectors={Vector.DENSE: _graph_only(full_scan_kb)}, max_search_threads=1)
        self.shard = open_shard(directory, config)
        for name in SHARES:
            self.shard.update(
                edge.UpdateOperation.create_field_index(
                    f"{Payload.METADATA}.{name}", edge.PayloadSchemaType.Keyword
                )
            )
        self.backend = EdgeBackend(self.shard)


_open: dict[str, _Open] = {}
_loop = asyncio.new_event_loop()


def manifest(preset: Quantization, *, graph: bool) -> Manifest:
    """The generation of a knowledge base that is said to be so."""
    spec = KnowledgeBaseSpec(dense=DenseVectors(quantization=preset, graph=Graph.ON if graph else Graph.OFF))
    return Manifest(
        generation="g000001", model_digest="bench", dense_dimension=DENSE_DIMENSION, shape=Shape.of(spec)
    )


def open_new(directory: Path, given: Manifest, full_scan_kb: int | None = None) -> None:
    """Opens an empty shard.

    Args:
        directory: Emptied first.
        given: As a knowledge base's generation.
        full_scan_kb: Where given, a graph on floats that is asked above so many kilobytes of candidates, whatever the
            retriever's own configuration says: what ACORN does shows only where there is no scan instead.
    """
    shutil.rmtree(directory, ignore_errors=True)
    _open["shard"] = _Open(directory, given, full_scan_kb)


def insert(path: Path, start: int, end: int, held: dict[str, Sequence[bool]]) -> float:
    """Writes rows of a .npy file as points; gives the seconds it took."""
    vectors = np.load(path, mmap_mode="r")
    started = time.perf_counter()
    for first in range(start, end, _BATCH):
        rows = range(first, min(end, first + _BATCH))
        points = list(_points(vectors, rows, held))
        _loop.run_until_complete(_open["shard"].backend.upsert(_TENANT, points))
    _open["shard"].shard.flush()
    return time.perf_counter() - started


def search(asking: Asking) -> tuple[list[int], float]:
    """Ids of the nearest points, and the milliseconds without the pipe."""
    conditions = tuple(Match(name, ("yes",)) for name in asking.fields)
    wanted = Filter(must=conditions) if conditions else None
    request = models.QueryRequest(
        query=asking.vector.tolist(),
        using=Vector.DENSE,
        filter=filters.readable(Reader(_TENANT), [], wanted, time.time()),
        params=models.SearchParams(
            quantization=models.QuantizationSearchParams(rescore=True, oversampling=asking.oversampling),
            acorn=models.AcornSearchParams(enable=True) if asking.acorn else None,
        ),
        limit=asking.limit,
    )
    started = time.perf_counter()
    [found] = _loop.run_until_complete(_open["shard"].backend.query(_TENANT, [request]))
    return [int(point.id) for point in found], (time.perf_counter() - started) * 1000


def optimize() -> Built:
    """Builds the graph, while another thread looks how long it may not run."""
    gaps, done = [0.0], threading.Event()

    def tick() -> None:
        before = time.perf_counter()
        while not done.is_set():
            time.sleep(0.005)
            now = time.perf_counter()
            gaps.append(now - before)
            before = now

    thread = threading.Thread(target=tick)
    thread.start()
    started = time.perf_counter()
    _open["shard"].backend.optimize()
    seconds = time.perf_counter() - started
    done.set()
    thread.join()
    return Built(seconds, max(gaps), _open["shard"].shard.info().indexed_vectors_count or 0)


def disk() -> int:
    """Bytes on disk, holes not counted."""
    return sum(path.stat().st_blocks * 512 for path in _open["shard"].directory.rglob("*") if path.is_file())


def resident() -> int:
    """Bytes of this process in memory at present."""
    with Path("/proc/self/statm").open() as line:
        return int(line.read().split()[1]) * resource.getpagesize()


def close() -> None:
    """Closes the shard and removes it."""
    shard = _open.pop("shard")
    shard.shard.close()
    shutil.rmtree(shard.directory)


def _points(
    vectors: np.ndarray, rows: Sequence[int], held: dict[str, Sequence[bool]]
) -> Iterator[models.PointStruct]:
    for row in rows:
        metadata = {name: "yes" for name, has in held.items() if has[row]}
        payload: dict[str, Any] = {Payload.TENANT: _TENANT, Payload.WRITE: "w", Payload.METADATA: metadata}
        vector: list[float] = vectors[row].tolist()
        yield models.PointStruct.model_construct(id=row, vector={str(Vector.DENSE): vector}, payload=payload)


def _graph_only(full_scan_kb: int) -> edge.EdgeVectorParams:
    graph = edge.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=full_scan_kb, payload_m=16)
    return edge.EdgeVectorParams(DENSE_DIMENSION, edge.Distance.Cosine, hnsw_config=graph)
