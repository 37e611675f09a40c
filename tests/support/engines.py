"""Engines behind one protocol: the embedded one, the double of a server as a cluster and alone, and a real server where
`QDRANT_URL` names one."""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from sluice_api.objects.knowledge_base import DenseVectors, Quantization, SelfHosted, TokenVectors
from sluice_api.objects.retrieval import TokenMatch
from sluice_retriever.domain.model import Chunk
from sluice_retriever.store.backend import Backend
from sluice_retriever.store.edge import schema as edge_schema
from sluice_retriever.store.edge.backend import EdgeBackend
from sluice_retriever.store.edge.directory import open_shard
from sluice_retriever.store.edge.ledger import RegisterLedger
from sluice_retriever.store.ledger import Ledger
from sluice_retriever.store.messages import Coded, Part, Piece
from sluice_retriever.store.schema import Manifest, Shape
from sluice_retriever.store.server.connection import connect
from sluice_retriever.store.server.generations import ServerGenerations
from sluice_retriever.store.server.ledger import ServerLedger
from sluice_retriever.store.store import BackendStore
from support.qdrant_server import QdrantServer, serving

ENGINES = (
    "embedded",
    "cluster",
    "standalone",
    pytest.param("real", marks=pytest.mark.needs("qdrant")),
)

#: Of the dense vectors: enough for nearest neighbours to differ, and divisible as codes of bits need it.
DIMENSION = 64


@dataclass(frozen=True)
class Engine:
    """One generation of a knowledge base on one of the engines."""

    name: str
    backend: Backend
    ledger: Ledger
    server: QdrantServer | None = None
    """The double, where it is one."""

    @property
    def store(self) -> BackendStore:
        return BackendStore(self.backend, self.ledger)


def manifest(quantization: Quantization = Quantization.NONE) -> Manifest:
    """A generation that the tests fill themselves."""
    tokens = TokenVectors(match=(TokenMatch.ANY, TokenMatch.EXACT))
    shape = Shape(dense=DenseVectors(quantization=quantization), tokens=tokens)
    return Manifest(generation="g000001", model_digest="test", dense_dimension=DIMENSION, shape=shape)


@asynccontextmanager
async def opened(name: str, folder: Path, made: Manifest, version: str = "1.19.0") -> AsyncIterator[Engine]:
    """A new generation on an engine."""
    if name == "embedded":
        backend = EdgeBackend(open_shard(folder, edge_schema.edge_config(made, 1)))
        ledger = RegisterLedger(backend, folder / "register.sqlite")
        yield Engine(name, backend, ledger)
        await backend.close()
        await ledger.close()
        return
    async with AsyncExitStack() as stack:
        server = None
        if name == "real":
            where = SelfHosted(
                url=os.environ["QDRANT_URL"], grpc_port=int(os.environ.get("QDRANT_GRPC_PORT", 6334))
            )
        else:
            double = QdrantServer(version=version, cluster=name == "cluster")
            server = await stack.enter_async_context(serving(double))
            where = server.self_hosted
        connection = await connect(where, None)
        stack.push_async_callback(connection.close)
        generations = ServerGenerations(connection, f"test-{uuid.uuid4().hex}")
        assert await generations.create(made, ()) == ()
        server_backend = generations.backend(made.generation)
        stack.push_async_callback(connection.client.delete_collection, server_backend.collection)
        yield Engine(name, server_backend, ServerLedger(server_backend), server)


def part(
    write_id: str,
    document_id: str = "d",
    *,
    tenant: str = "acme",
    chunks: int = 3,
    start: int = 0,
    count: int | None = None,
    digest: str = "x",
    expires: float | None = None,
) -> Part:
    """A run of a document's chunks, all of them unless `count` says how many; the last run ends the write."""
    count = chunks - start if count is None else count
    pieces = tuple(
        Piece(
            chunk=Chunk(f"{write_id} {ordinal}", (), ()),
            chunk_id=f"{document_id}#{ordinal}",
            title="",
            coded=Coded(
                dense=np.eye(DIMENSION, dtype=np.float32)[ordinal % DIMENSION],
                tokens={TokenMatch.ANY: np.full((1, 128), ordinal % 256, np.uint8)},
                sentences=np.zeros((0, 384), np.int8),
            ),
        )
        for ordinal in range(start, start + count)
    )
    return Part(
        write_id=write_id,
        tenant=tenant,
        document_id=document_id,
        digest=digest,
        metadata_json="{}",
        acl=(),
        expires=expires,
        pieces=pieces,
        start=start,
        total=chunks if start + count == chunks else None,
    )
