"""Documents: parsed and cut, encoded together and put in force, in slices that bound memory and waiting."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from prometheus_client import Counter

from sluice_retriever.domain import documents
from sluice_retriever.domain.chunking import Budget, context_line
from sluice_retriever.domain.model import (
    ChunkVectors,
    Document,
    DocumentSummary,
    Ingested,
    Outcome,
    Usage,
)
from sluice_retriever.encoding.encoder import Encoder
from sluice_retriever.encoding.tokenizing import WINDOW
from sluice_retriever.planning import Plan, Planner
from sluice_retriever.preparing.preparer import Preparer
from sluice_retriever.store import coding
from sluice_retriever.store.knowledge_bases import KnowledgeBases
from sluice_retriever.store.messages import Part, Piece
from sluice_servicekit import telemetry_names as names
from sluice_servicekit import tracing
from sluice_servicekit.errors import InvalidArgument

_CHUNKS = Counter(names.CHUNKS_STORED, "Chunks stored", ("knowledge_base",))

#: Chunks that are encoded and written in one go: some 7 MB of vectors, a few seconds on two cores.
_SLICE_CHUNKS = 64

#: Documents that one call may delete.
_MAX_DELETED = 1000


@dataclass(frozen=True, slots=True)
class _Run:
    """A run of one document's chunks."""

    plan: Plan
    start: int
    end: int

    @property
    def ends_document(self) -> bool:
        return self.end == len(self.plan.chunks)

    @property
    def outcome(self) -> Ingested:
        """What has become of the document once the run is written."""
        if self.ends_document:
            return self.plan.outcome
        return Ingested(
            self.plan.document.id,
            Outcome.IN_PROGRESS,
            chunks=self.end,
            total_chunks=len(self.plan.chunks),
        )


class Ingestion:
    """The writing half of the retriever."""

    def __init__(
        self, knowledge_bases: KnowledgeBases, preparer: Preparer, encoder: Encoder, threads: Executor
    ) -> None:
        self._knowledge_bases = knowledge_bases
        self._planner = Planner(preparer, encoder.model_digest)
        self._encoder = encoder
        self._threads = threads

    async def ingest(
        self, tenant: str, knowledge_base: str, group: Sequence[Document]
    ) -> AsyncGenerator[Ingested]:
        """Stores documents, encoded together; one outcome for each, in order, once it is durable. A document of
        many chunks is reported as in progress before.

        Raises:
            NotFound: there is no such knowledge base.
            Unavailable: the worker died; documents without an outcome are not stored.
        """
        loop = asyncio.get_running_loop()
        budget = self._budget(knowledge_base)
        ids = tuple({document.id for document in group})
        stored = await self._knowledge_bases.stored(knowledge_base, tenant, ids)
        plans = await self._planner.plan(group, stored, budget)
        begun: set[str] = set()
        try:
            for slice_ in _slices(plans):
                with tracing.span(names.SPAN_INGEST, {names.KNOWLEDGE_BASE: knowledge_base}):
                    parts = await loop.run_in_executor(
                        self._threads, self._encode, slice_, tenant, knowledge_base
                    )
                    begun.update(part.write_id for part in parts)
                    if parts:
                        await self._knowledge_bases.write(knowledge_base, parts)
                    begun.difference_update(part.write_id for part in parts if part.total is not None)
                _CHUNKS.labels(knowledge_base).inc(sum(len(part.pieces) for part in parts))
                for run in slice_:
                    yield run.outcome
        finally:
            if begun:
                self._knowledge_bases.abandon(knowledge_base, tuple(begun))

    async def delete(self, tenant: str, knowledge_base: str, ids: Sequence[str]) -> int:
        """Removes documents; gives how many of the ids there were.

        Raises:
            InvalidArgument: too many are named.
        """
        if len(ids) > _MAX_DELETED:
            raise InvalidArgument(
                f"{len(ids)} documents are named; one call deletes {_MAX_DELETED} at most",
                field="document_ids",
            )
        return await self._knowledge_bases.delete(knowledge_base, tenant, tuple(ids))

    async def list_documents(
        self, tenant: str, knowledge_base: str, prefix: str, after: str, limit: int
    ) -> list[DocumentSummary]:
        """A page of the stored documents, by id: those whose ids start with `prefix` and come after `after`."""
        return await self._knowledge_bases.list_documents(knowledge_base, tenant, prefix, after, limit)

    async def usage(self, tenant: str, knowledge_base: str) -> Usage:
        """What a tenant holds."""
        return await self._knowledge_bases.usage(knowledge_base, tenant)

    def _budget(self, knowledge_base: str) -> Budget:
        chunking = self._knowledge_bases.spec(knowledge_base).chunking
        return Budget(chunking.max_tokens, chunking.overlap_sentences, WINDOW)

    def _encode(self, slice_: Sequence[_Run], tenant: str, knowledge_base: str) -> list[Part]:
        runs = [run for run in slice_ if run.plan.chunks]
        encoded = iter(
            self._encoder.chunks(
                [
                    (context_line(run.plan.title, piece.section), piece)
                    for run in runs
                    for piece in run.plan.chunks[run.start : run.end]
                ]
            )
        )
        return [
            _part(run, tenant, knowledge_base, list(itertools.islice(encoded, run.end - run.start)))
            for run in runs
        ]


def _part(run: _Run, tenant: str, knowledge_base: str, vectors: Sequence[ChunkVectors]) -> Part:
    document, plan = run.plan.document, run.plan
    pieces = (
        _piece(plan, ordinal, chunk_vectors, tenant, knowledge_base)
        for ordinal, chunk_vectors in enumerate(vectors, run.start)
    )
    return Part(
        write_id=plan.write_id,
        tenant=tenant,
        document_id=document.id,
        digest=plan.digest,
        metadata_json=document.metadata_json,
        acl=document.acl,
        pieces=tuple(pieces),
        first=run.start == 0,
        total=len(plan.chunks) if run.ends_document else None,
    )


def _piece(plan: Plan, ordinal: int, vectors: ChunkVectors, tenant: str, knowledge_base: str) -> Piece:
    piece = plan.chunks[ordinal]
    return Piece(
        chunk=piece,
        chunk_id=documents.chunk_id(tenant, knowledge_base, plan.document.id, ordinal, piece),
        title=context_line(plan.title, piece.section),
        dense=vectors.dense,
        tokens=coding.encode_tokens(vectors.tokens),
        sentences=coding.encode_sentences(vectors.sentences),
    )


def _slices(plans: Sequence[Plan]) -> Iterator[list[_Run]]:
    """Runs in order, a slice's worth at a time; a document that needs no write is an empty run."""
    slice_: list[_Run] = []
    size = 0
    for plan in plans:
        start = 0
        while True:
            end = min(len(plan.chunks), start + _SLICE_CHUNKS - size)
            slice_.append(_Run(plan, start, end))
            size += end - start
            if size == _SLICE_CHUNKS:
                yield slice_
                slice_, size = [], 0
            if end == len(plan.chunks):
                break
            start = end
    if slice_:
        yield slice_
