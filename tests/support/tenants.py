"""Many tenants that hold the same documents, each marked with its tenant's name, in one real shard."""

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from qdrant_client import models

from sluice_api.filtering import Filter, Match, Range
from sluice_api.objects.retrieval import Fusion, Retrieval, TokenMatch
from sluice_retriever.domain.model import Chunk, ChunkVectors, QuestionVectors, Reader, Span
from sluice_retriever.domain.parameters import resolve
from sluice_retriever.store import coding
from sluice_retriever.store.bm25 import SparseEncoder
from sluice_retriever.store.edge import schema
from sluice_retriever.store.edge.backend import EdgeBackend
from sluice_retriever.store.edge.directory import open_shard
from sluice_retriever.store.edge.ledger import RegisterLedger
from sluice_retriever.store.messages import Lookup, Part, Piece
from sluice_retriever.store.schema import Manifest, Shape
from sluice_retriever.store.staged import StagedQuery
from sluice_retriever.store.store import BackendStore

TENANTS = 50
DOCUMENTS = 12
_WORDS = "otter river night bee hive honey badger sett winter stone bridge tide harbour lamp".split()
_NOW = 1_800_000_000.0

Floats = npt.NDArray[np.float32]


class Tenants:
    """The store, and questions to it."""

    def __init__(self, store: BackendStore, backend: EdgeBackend, seed: int) -> None:
        self.store = store
        self._staged = StagedQuery(backend, SparseEncoder())
        self._random = random.Random(seed)
        self._vectors = np.random.default_rng(seed)

    async def fill(self) -> None:
        """The same documents for every tenant."""
        contents = [(_text(self._random), self._chunk_vectors()) for _ in range(DOCUMENTS)]
        for number in range(TENANTS):
            await self.store.write(
                [self._part(f"tenant{number}", index, *each) for index, each in enumerate(contents)]
            )

    def lookups(self, count: int) -> Iterator[Lookup]:
        """Questions of every kind by every tenant."""
        for _ in range(count):
            tenant = f"tenant{self._random.randrange(TENANTS)}"
            parameters = Retrieval(
                leg_limit=self._random.choice((1, 10, 100)),
                token_match=self._random.choice((TokenMatch.ANY, TokenMatch.OFF)),
                fusion=Fusion(k=self._random.choice((1, 2, 61)), sparse=self._random.choice((0.0, 1.0, 5.0))),
            )
            dense = _unit(self._vectors, 384)
            yield Lookup(
                Reader(tenant, self._random.choice(((), ("staff",), ("staff", "board")))),
                _text(self._random),
                QuestionVectors(
                    "m", dense, _unit(self._vectors, 8, 128), np.arange(8, dtype=np.uint32), dense
                ),
                self._random.choice((1, 10, 1000)),
                resolve(parameters),
                self._filter(),
                _NOW,
            )

    async def foreign(self, lookup: Lookup, *, without_root: bool = False) -> int:
        """How many passages of other tenants a question finds; the root filter can be left out, to see that it
        is what keeps them apart."""
        if without_root:
            found = await self._staged.finish(
                lookup, models.Filter(), await self._staged.legs(lookup, models.Filter())
            )
        else:
            found = await self.store.search(lookup)
        return sum(f'"{lookup.reader.tenant}"' not in passage.metadata_json for passage in found.passages)

    def _filter(self) -> Filter | None:
        others = tuple(f"tenant{number}" for number in range(TENANTS))
        return self._random.choice(
            (
                None,
                Filter(should=(Match("mark", others),)),
                Filter(must_not=(Match("mark", others[:25]),)),
                Filter(should=(Filter(must_not=(Match("mark", ("nobody",)),)), Range("number", gte=0))),
                Filter(must=(Filter(should=(Range("number", lt=6), Match("number", (7, 8)))),)),
            )
        )

    def _chunk_vectors(self) -> ChunkVectors:
        return ChunkVectors(
            _unit(self._vectors, 384),
            _unit(self._vectors, 20, 128),
            _unit(self._vectors, 1, 384),
            np.arange(20, dtype=np.uint32),
        )

    def _part(self, tenant: str, index: int, text: str, vectors: ChunkVectors) -> Part:
        chunk = Chunk(text, (), (Span(0, len(text)),))
        return Part(
            write_id=f"{tenant}-{index}",
            tenant=tenant,
            document_id=f"d{index}",
            digest="x",
            metadata_json=f'{{"mark": "{tenant}", "number": {index}}}',
            acl=((), ("staff",), ("board",))[index % 3],
            expires=None,
            pieces=(Piece(chunk, f"{tenant}-{index}", "", coding.encode(vectors, (TokenMatch.ANY,))),),
            start=0,
            total=1,
        )


@asynccontextmanager
async def tenants(folder: Path, seed: int = 1) -> AsyncIterator[Tenants]:
    """The tenants, with their documents stored."""
    manifest = Manifest(generation="g000001", model_digest="m", dense_dimension=384, shape=Shape())
    backend = EdgeBackend(open_shard(folder, schema.edge_config(manifest, 1)))
    store = BackendStore(backend, RegisterLedger(backend, folder / "register.sqlite"))
    try:
        made = Tenants(store, backend, seed)
        await made.fill()
        yield made
    finally:
        await store.close()


def _unit(random_: np.random.Generator, *shape: int) -> Floats:
    rows = random_.normal(size=shape).astype(np.float32)
    result: Floats = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return result


def _text(random_: random.Random) -> str:
    return " ".join(random_.choices(_WORDS, k=12))
