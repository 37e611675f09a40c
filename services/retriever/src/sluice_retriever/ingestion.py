"""Documents: parsed and cut, encoded together and put in force, in slices that bound memory and waiting."""

import itertools
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from prometheus_client import Counter

from sluice_api.objects.knowledge_base import KnowledgeBaseSpec
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
from sluice_retriever.encoding.tokenizing import WINDOW
from sluice_retriever.planning import Plan, Planner
from sluice_retriever.preparing.preparer import Preparer
from sluice_retriever.store import coding
from sluice_retriever.store.knowledge_bases import Home, KnowledgeBases
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

    def __init__(self, knowledge_bases: KnowledgeBases, preparer: Preparer) -> None:
        self._knowledge_bases = knowledge_bases
        self._planner = Planner(preparer)

    async def ingest(
        self, tenant: str, knowledge_base: str, group: Sequence[Document]
    ) -> AsyncGenerator[Ingested]:
        """Stores documents, encoded together; one outcome for each, in order, once it is durable. A document of
        many chunks is reported as in progress before.

        Raises:
            NotFound: there is no such knowledge base.
            Unavailable: the worker died; documents without an outcome are not stored.
        """
        async with self._knowledge_bases.home(knowledge_base).writing.shared():
            # Only now: until the gate opens, another generation may have taken the place of the one before.
            home = self._knowledge_bases.home(knowledge_base)
            async with aclosing(self._ingest(tenant, home, group)) as results:
                async for result in results:
                    yield result

    async def _ingest(self, tenant: str, home: Home, group: Sequence[Document]) -> AsyncGenerator[Ingested]:
        stored = await home.store.stored(tenant, tuple({document.id for document in group}))
        model = home.encoder.model_digest
        plans = await self._planner.plan(group, stored, _budget(home.spec), model)
        begun: set[str] = set()
        try:
            for slice_ in _slices(plans):
                with tracing.span(names.SPAN_INGEST, {names.KNOWLEDGE_BASE: home.name}):
                    parts = await _encode(slice_, tenant, home)
                    begun.update(part.write_id for part in parts)
                    if parts:
                        await home.store.write(parts)
                    begun.difference_update(part.write_id for part in parts if part.total is not None)
                _CHUNKS.labels(home.name).inc(sum(len(part.pieces) for part in parts))
                for run in slice_:
                    yield run.outcome
        finally:
            if begun:
                await home.store.abandon(tenant, tuple(begun))

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
        async with self._knowledge_bases.home(knowledge_base).writing.shared():
            return await self._knowledge_bases.home(knowledge_base).store.delete(tenant, tuple(ids))

    async def list_documents(
        self, tenant: str, knowledge_base: str, prefix: str, after: str, limit: int
    ) -> list[DocumentSummary]:
        """A page of the stored documents, by id: those whose ids start with `prefix` and come after `after`."""
        store = self._knowledge_bases.home(knowledge_base).store
        return await store.documents(tenant, prefix, after, limit)

    async def usage(self, tenant: str, knowledge_base: str) -> Usage:
        """What a tenant holds."""
        return await self._knowledge_bases.home(knowledge_base).store.usage(tenant)


def _budget(spec: KnowledgeBaseSpec) -> Budget:
    return Budget(spec.chunking.max_tokens, spec.chunking.overlap_sentences, WINDOW)


async def _encode(slice_: Sequence[_Run], tenant: str, home: Home) -> list[Part]:
    runs = [run for run in slice_ if run.plan.chunks]
    chunks = [
        (context_line(run.plan.title, piece.section), piece)
        for run in runs
        for piece in run.plan.chunks[run.start : run.end]
    ]
    encoded = iter(await home.encoder.chunks(chunks) if chunks else ())
    return [
        _part(run, tenant, home.name, list(itertools.islice(encoded, run.end - run.start))) for run in runs
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
        expires=document.expires,
        pieces=tuple(pieces),
        start=run.start,
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
