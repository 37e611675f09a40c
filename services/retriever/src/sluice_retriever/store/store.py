"""One generation of a knowledge base: puts documents in force whole or not at all, and answers the staged query."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from qdrant_client import models

from sluice_api.objects.knowledge_base import Language
from sluice_retriever.domain.model import DocumentSummary, Epoch, Reader, Usage
from sluice_retriever.store import filters, points
from sluice_retriever.store.backend import Backend
from sluice_retriever.store.bm25 import SparseEncoder
from sluice_retriever.store.conditions import metadata_key
from sluice_retriever.store.grouping import by_tenant, inverted
from sluice_retriever.store.ledger import Ledger
from sluice_retriever.store.messages import Found, Lookup, Part, Piece, Stocked, Stored
from sluice_retriever.store.schema import Payload
from sluice_retriever.store.staged import Legs, StagedQuery

#: The year 9999: the expiry of what never expires, where there was one before.
_NEVER = 253402300799.0


class Store(Protocol):
    """What the retriever asks of a generation, wherever it is kept."""

    async def stored(self, tenant: str, document_ids: Sequence[str]) -> dict[str, Stored]:
        """What is stored of those documents that are."""
        ...

    async def write(self, parts: Sequence[Part]) -> None:
        """Writes parts of documents; those that end here are in force and durable once it returns.

        Until then the write before stays in force, also over the death of any process.

        Raises:
            WriteLost: a part goes on with a write that this store does not know.
        """
        ...

    async def abandon(self, tenant: str, write_ids: Sequence[str]) -> None:
        """Removes what was written of writes that will not go on."""
        ...

    async def delete(self, tenant: str, document_ids: Sequence[str]) -> int:
        """Removes documents; gives how many there were."""
        ...

    async def documents(self, tenant: str, prefix: str, after: str, limit: int) -> list[DocumentSummary]:
        """A tenant's documents whose ids start with `prefix` and come after `after`, by id."""
        ...

    async def usage(self, tenant: str) -> Usage:
        """What a tenant holds."""
        ...

    async def touch(self, tenant: str, expiries: Mapping[str, float | None]) -> None:
        """Sets when stored documents' times are over, by id, in epoch seconds."""
        ...

    async def sweep(self, now: float) -> int:
        """Removes documents whose time is over, and what was left half written; gives how many documents."""
        ...

    async def epoch(self, tenant: str, now: float) -> Epoch | None:
        """Where a tenant's writes stand: a write that was acknowledged before has changed it. None where that cannot be
        told."""
        ...

    async def inventory(self, after: tuple[str, str], limit: int) -> list[Stocked]:
        """Documents of all tenants, ordered by tenant and id, after such a pair."""
        ...

    async def read(self, row: Stocked, start: int, count: int) -> Part | None:
        """A run of a document's chunks as they were stored; None where the write is no longer there."""
        ...

    async def pieces(self, tenant: str, write_id: str, wordings: list[str]) -> list[Piece]:
        """Those chunks of a write that have one of these wordings."""
        ...

    async def share(self, lookup: Lookup) -> float:
        """The share of the tenant's chunks that a lookup may find, estimated; 0 to 1."""
        ...

    async def values(self, reader: Reader, field: str, now: float, most: int) -> list[str]:
        """The commonest values of a metadata field in what a reader may see."""
        ...

    async def legs(self, lookup: Lookup) -> Legs:
        """The first stage of the staged query."""
        ...

    async def finish(self, lookup: Lookup, legs: Legs) -> Found:
        """The second stage, over the first one's candidates and others'."""
        ...

    async def search(self, lookup: Lookup) -> Found:
        """The staged query."""
        ...

    async def close(self) -> None:
        """Lets go of the generation; its data stays."""
        ...


class BackendStore:
    """`Store` on a backend and a ledger.

    Args:
        backend: Its points.
        ledger: Which writes are in force.
        language: Of the sparse leg.
    """

    def __init__(self, backend: Backend, ledger: Ledger, language: Language = Language.AUTO) -> None:
        self._backend = backend
        self._ledger = ledger
        self._sparse = SparseEncoder(language)
        self._staged = StagedQuery(backend, self._sparse)

    async def stored(self, tenant: str, document_ids: Sequence[str]) -> dict[str, Stored]:
        """What is stored of those documents that are."""
        return await self._ledger.stored(tenant, document_ids)

    async def write(self, parts: Sequence[Part]) -> None:
        """Writes parts of documents; those that end here are in force and durable once it returns."""
        await self._ledger.begin(parts)
        for tenant, own in by_tenant(parts).items():
            if batch := [point for part in own for point in self._points(part)]:
                await self._backend.upsert(tenant, batch)
        await self._ledger.commit([part for part in parts if part.total is not None])

    async def abandon(self, tenant: str, write_ids: Sequence[str]) -> None:
        """Removes what was written of writes that will not go on."""
        await self._ledger.abandon(tenant, write_ids)

    async def delete(self, tenant: str, document_ids: Sequence[str]) -> int:
        """Removes documents; gives how many there were."""
        return await self._ledger.delete(tenant, document_ids)

    async def documents(self, tenant: str, prefix: str, after: str, limit: int) -> list[DocumentSummary]:
        """A tenant's documents, by id."""
        return await self._ledger.documents(tenant, prefix, after, limit)

    async def usage(self, tenant: str) -> Usage:
        """What a tenant holds."""
        return await self._ledger.usage(tenant)

    async def touch(self, tenant: str, expiries: Mapping[str, float | None]) -> None:
        """Sets when stored documents' times are over; one flush for all."""
        known = await self._ledger.stored(tenant, list(expiries))
        moved = {
            document_id: expires
            for document_id, expires in expiries.items()
            if document_id in known and known[document_id].expires != expires
        }
        if not moved:
            return
        for expires, document_ids in inverted(moved).items():
            # What never expires is far in the future rather than without the field: one kind of write for both.
            payload: dict[str, object] = {Payload.EXPIRES: _NEVER if expires is None else expires}
            await self._backend.set_payload(tenant, payload, filters.of_documents(tenant, document_ids))
        await self._backend.flush()
        await self._ledger.touch(tenant, moved)

    async def sweep(self, now: float) -> int:
        """Removes documents whose time is over, and what was left half written."""
        return await self._ledger.sweep(now)

    async def epoch(self, tenant: str, now: float) -> Epoch | None:
        """Where a tenant's writes stand."""
        return await self._ledger.epoch(tenant, now)

    async def inventory(self, after: tuple[str, str], limit: int) -> list[Stocked]:
        """Documents of all tenants, ordered by tenant and id, after such a pair."""
        return await self._ledger.inventory(after, limit)

    async def read(self, row: Stocked, start: int, count: int) -> Part | None:
        """A run of a document's chunks as they were stored."""
        count = min(count, row.chunks - start)
        wanted = filters.of_run(row.tenant, row.write_id, start, count)
        records, _ = await self._backend.scroll(row.tenant, wanted, count, vectors=True)
        return points.part(row, start, records) if records and len(records) == count else None

    async def pieces(self, tenant: str, write_id: str, wordings: list[str]) -> list[Piece]:
        """Those chunks of a write that have one of these wordings."""
        wanted = filters.of_wordings(tenant, write_id, wordings)
        records, _ = await self._backend.scroll(tenant, wanted, len(wordings), vectors=True)
        return [points.piece(record)[1] for record in records]

    async def share(self, lookup: Lookup) -> float:
        """The share of the tenant's chunks that a lookup may find, estimated."""
        tenant = lookup.reader.tenant
        whole = await self._backend.count(tenant, filters.of_tenant(tenant), exact=False)
        passing = await self._backend.count(tenant, self._readable(lookup), exact=False)
        return min(1.0, passing / whole) if whole else 1.0

    async def values(self, reader: Reader, field: str, now: float, most: int) -> list[str]:
        """The commonest values of a metadata field in what a reader may see."""
        readable = filters.readable(reader, self._ledger.hidden(reader.tenant), None, now)
        found = await self._backend.facet(reader.tenant, metadata_key(field), readable, most)
        return [value for value, _ in found]

    async def legs(self, lookup: Lookup) -> Legs:
        """The first stage of the staged query."""
        return await self._staged.legs(lookup, self._readable(lookup))

    async def finish(self, lookup: Lookup, legs: Legs) -> Found:
        """The second stage, over the first one's candidates and others'."""
        return await self._staged.finish(lookup, self._readable(lookup), legs)

    async def search(self, lookup: Lookup) -> Found:
        """The staged query."""
        readable = self._readable(lookup)
        return await self._staged.finish(lookup, readable, await self._staged.legs(lookup, readable))

    async def close(self) -> None:
        """Lets go of the generation; its data stays."""
        await self._backend.close()
        await self._ledger.close()

    def _readable(self, lookup: Lookup) -> models.Filter:
        hidden = self._ledger.hidden(lookup.reader.tenant)
        return filters.readable(lookup.reader, hidden, lookup.filter, lookup.now)

    def _points(self, part: Part) -> list[models.PointStruct]:
        mark = self._ledger.mark(part)
        return [
            points.point(
                part,
                ordinal,
                piece,
                self._sparse.document(f"{piece.title}\n{piece.chunk.text}"),
                mark,
            )
            for ordinal, piece in enumerate(part.pieces, part.start)
        ]
