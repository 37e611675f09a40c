"""Documents: cut, encoded together and put in force, in slices that bound memory and waiting."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncGenerator, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from prometheus_client import Counter

from sluice_retriever.domain import documents
from sluice_retriever.domain.chunking import Budget, chunk, context_line
from sluice_retriever.domain.model import Chunk, ChunkVectors, Document, Ingested, Outcome, Usage
from sluice_retriever.encoding.encoder import WINDOW, Encoder
from sluice_retriever.store import coding
from sluice_retriever.store.knowledge_bases import KnowledgeBases
from sluice_retriever.store.messages import Part, Piece, Stored
from sluice_servicekit import telemetry_names as names
from sluice_servicekit import tracing
from sluice_servicekit.errors import InvalidArgument

_CHUNKS = Counter(names.CHUNKS_STORED, "Chunks stored", ("knowledge_base",))

#: Chunks that are encoded and written in one go: some 7 MB of vectors, a few seconds on two cores.
_SLICE_CHUNKS = 64

#: Documents that one call may delete.
_MAX_DELETED = 1000


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be done with a document."""

    document: Document
    outcome: Ingested
    """Once all is done."""
    write_id: str = ""
    digest: str = ""
    chunks: tuple[Chunk, ...] = ()


@dataclass(frozen=True, slots=True)
class _Run:
    """A run of one document's chunks."""

    plan: _Plan
    start: int
    end: int

    @property
    def ends_document(self) -> bool:
        return self.end == len(self.plan.chunks)


class Ingestion:
    """The writing half of the retriever."""

    def __init__(self, knowledge_bases: KnowledgeBases, encoder: Encoder, threads: Executor) -> None:
        self._knowledge_bases = knowledge_bases
        self._encoder = encoder
        self._threads = threads

    async def ingest(
        self, tenant: str, knowledge_base: str, group: Sequence[Document]
    ) -> AsyncGenerator[Ingested]:
        """Stores documents, encoded together; one outcome for each, in order, once it is durable.

        Raises:
            NotFound: there is no such knowledge base.
            Unavailable: the worker died; documents without an outcome are not stored.
        """
        loop = asyncio.get_running_loop()
        budget = self._budget(knowledge_base)
        ids = tuple({document.id for document in group})
        stored = await self._knowledge_bases.stored(knowledge_base, tenant, ids)
        plans = await loop.run_in_executor(self._threads, self._plan, group, stored, budget)
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
                    if run.ends_document:
                        yield run.plan.outcome
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

    async def usage(self, tenant: str, knowledge_base: str) -> Usage:
        """What a tenant holds."""
        return await self._knowledge_bases.usage(knowledge_base, tenant)

    def _budget(self, knowledge_base: str) -> Budget:
        chunking = self._knowledge_bases.spec(knowledge_base).chunking
        return Budget(chunking.max_tokens, chunking.overlap_sentences, WINDOW)

    def _plan(self, group: Sequence[Document], stored: dict[str, Stored], budget: Budget) -> list[_Plan]:
        # Within one group a later copy of the same id counts as the newer one.
        latest = dict(stored)
        plans = []
        for document in group:
            plan = self._plan_one(document, latest.get(document.id), budget)
            if plan.outcome.outcome is Outcome.STORED:
                latest[document.id] = Stored(plan.digest, len(plan.chunks))
            plans.append(plan)
        return plans

    def _plan_one(self, document: Document, stored: Stored | None, budget: Budget) -> _Plan:
        if reason := documents.refusal(document):
            return _Plan(document, Ingested(document.id, Outcome.REFUSED, reason))
        digest = documents.digest(document, f"{budget}/{self._encoder.model_digest}")
        if stored is not None and stored.digest == digest:
            return _Plan(document, Ingested(document.id, Outcome.UNCHANGED, chunks=stored.chunks))
        chunks = tuple(chunk(document, budget, self._encoder.count_tokens))
        if not chunks:
            return _Plan(document, Ingested(document.id, Outcome.REFUSED, "text holds no words"))
        outcome = Ingested(document.id, Outcome.STORED, chunks=len(chunks))
        return _Plan(document, outcome, uuid.uuid4().hex, digest, chunks)

    def _encode(self, slice_: Sequence[_Run], tenant: str, knowledge_base: str) -> list[Part]:
        runs = [run for run in slice_ if run.plan.chunks]
        encoded = iter(
            self._encoder.chunks(
                [
                    (context_line(run.plan.document.title, piece.section), piece)
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


def _piece(plan: _Plan, ordinal: int, vectors: ChunkVectors, tenant: str, knowledge_base: str) -> Piece:
    piece = plan.chunks[ordinal]
    return Piece(
        chunk=piece,
        chunk_id=documents.chunk_id(tenant, knowledge_base, plan.document.id, ordinal, piece),
        title=context_line(plan.document.title, piece.section),
        dense=vectors.dense,
        tokens=coding.encode_tokens(vectors.tokens),
        sentences=coding.encode_sentences(vectors.sentences),
    )


def _slices(plans: Sequence[_Plan]) -> Iterator[list[_Run]]:
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
