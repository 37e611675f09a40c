"""Documents: parsed and cut, encoded together and put in force, in slices that bound memory and waiting."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from prometheus_client import Counter

from sluice_api.objects.knowledge_base import KnowledgeBaseSpec
from sluice_minilm.tokenizing import WINDOW
from sluice_retriever.arriving import Arrivals
from sluice_retriever.assembling import assemble, slices
from sluice_retriever.domain.chunking import Budget
from sluice_retriever.domain.model import Document, DocumentSummary, Epoch, Ingested, Usage, WrittenChunk
from sluice_retriever.planning import Planner
from sluice_retriever.preparing.preparer import Preparer
from sluice_retriever.store.knowledge_bases import Home, KnowledgeBases
from sluice_retriever.store.messages import Piece
from sluice_servicekit import telemetry_names as names
from sluice_servicekit import tracing
from sluice_servicekit.errors import InvalidArgument

_CHUNKS = Counter(names.CHUNKS_STORED, "Chunks stored", ("knowledge_base",))

#: Documents that one call may delete.
_MAX_DELETED = 1000

#: Knowledge bases whose epochs one call may ask for.
_MAX_EPOCHS = 64


class Ingestion:
    """The writing half of the retriever."""

    def __init__(self, knowledge_bases: KnowledgeBases, arrivals: Arrivals, preparer: Preparer) -> None:
        self._knowledge_bases = knowledge_bases
        self._arrivals = arrivals
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
        spec = self._knowledge_bases.home(knowledge_base).spec
        arrived = await self._arrivals.complete(group, spec.expire_after)
        async with self._knowledge_bases.home(knowledge_base).writing.shared():
            # Only now: until the gate opens, another generation may have taken the place of the one before.
            home = self._knowledge_bases.home(knowledge_base)
            async with aclosing(self._ingest(tenant, home, arrived)) as results:
                async for result in results:
                    yield result

    async def _ingest(self, tenant: str, home: Home, group: Sequence[Document]) -> AsyncGenerator[Ingested]:
        stored = await home.store.stored(tenant, tuple({document.id for document in group}))
        model = home.encoder.model_digest
        budget = _budget(home.spec)
        plans = await self._planner.plan(group, stored, budget, model, home.spec.fields)
        if touched := {plan.document.id: plan.document.expires for plan in plans if plan.touched}:
            await home.store.touch(tenant, touched)
        begun: set[str] = set()
        try:
            for slice_ in slices(plans):
                with tracing.span(names.SPAN_INGEST, {names.KNOWLEDGE_BASE: home.name}):
                    parts = await assemble(slice_, tenant, home, stored)
                    begun.update(part.write_id for part in parts)
                    if parts:
                        await home.store.write(parts)
                    begun.difference_update(part.write_id for part in parts if part.total is not None)
                _CHUNKS.labels(home.name).inc(sum(len(part.pieces) for part in parts))
                pieces = iter([part.pieces for part in parts])
                for run in slice_:
                    yield (
                        replace(run.outcome, written=_written(next(pieces)))
                        if run.plan.chunks
                        else run.outcome
                    )
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

    async def epochs(self, tenant: str, knowledge_bases: Sequence[str], now: float) -> list[Epoch | None]:
        """Where the tenant's writes stand in each; None where that cannot be told.

        Raises:
            InvalidArgument: none or too many are named.
        """
        if not 1 <= len(knowledge_bases) <= _MAX_EPOCHS:
            raise InvalidArgument(
                f"{len(knowledge_bases)} knowledge bases are named; name 1 to {_MAX_EPOCHS}",
                field="knowledge_bases",
            )
        found = []
        for home in [self._knowledge_bases.home(name) for name in knowledge_bases]:
            epoch = await home.store.epoch(tenant, now)
            counter = f"{home.manifest.generation}-{epoch.counter}" if epoch else ""
            found.append(epoch and replace(epoch, counter=counter))
        return found


def _written(pieces: Sequence[Piece]) -> tuple[WrittenChunk, ...]:
    return tuple(WrittenChunk(piece.chunk_id, piece.title, piece.chunk.text) for piece in pieces)


def _budget(spec: KnowledgeBaseSpec) -> Budget:
    cut = spec.chunking
    return Budget(cut.max_tokens, cut.overlap_sentences, WINDOW, cut.method)
