"""Which documents are in force, kept in the collection itself so that all replicas of the retriever agree.

A write is put in force by one conditional upsert of its document's record: the record must still name the write that
the committer saw. Where another write of the document came between, this one counts as replaced by it at once, and
goes. Nothing is deleted but one's own write and the one seen before, which is out of force either way, so no order of
two writers loses a document. An intent remembers what a commit was about to do; a sweep finishes, or undoes, what a
crash left of it.
"""

import time
from collections.abc import Callable, Mapping, Sequence

from qdrant_client import models

from sluice_retriever.domain.model import DocumentSummary, Epoch, Usage
from sluice_retriever.store.grouping import by_tenant, inverted
from sluice_retriever.store.messages import Part, Stocked, Stored, WriteLost
from sluice_retriever.store.schema import Payload
from sluice_retriever.store.server import ledger_points as points
from sluice_retriever.store.server import settling, sweeping
from sluice_retriever.store.server.backend import ServerBackend
from sluice_retriever.store.server.ledger_points import Intent
from sluice_retriever.store.server.schema import PENDING

_PAGE = 256


class ServerLedger:
    """The ledger of one generation.

    Args:
        backend: The generation's collection.
        clock: Epoch seconds.
    """

    def __init__(self, backend: ServerBackend, clock: Callable[[], float] = time.time) -> None:
        self._backend = backend
        self._clock = clock

    async def stored(self, tenant: str, document_ids: Sequence[str]) -> dict[str, Stored]:
        """What is stored of those documents that are."""
        found = await settling.records(self._backend, tenant, document_ids)
        return {id_: Stored(row.digest, row.chunks, row.write_id, row.expires) for id_, row in found.items()}

    async def begin(self, parts: Sequence[Part]) -> None:
        """Notes that points of these writes are about to arrive.

        Raises:
            WriteLost: a part goes on with a write that has ended or was given up.
        """
        now = self._clock()
        for tenant, own in by_tenant(parts).items():
            later = {part.write_id: part for part in own if not part.first}
            begun = {intent.write_id for intent in await settling.intents(self._backend, tenant, later)}
            if unknown := later.keys() - begun:
                raise WriteLost(later[min(unknown)].document_id)
            if first := [points.intent_point(part, now) for part in own if part.first]:
                await self._backend.upsert(tenant, first)

    def mark(self, part: Part) -> dict[str, object]:
        """Chunks are pending until their write is in force."""
        return {PENDING: self._clock()}

    def hidden(self, tenant: str) -> list[models.Condition]:
        """Points that are pending, and the ledger's own. While a document is replaced, for the length of one request,
        chunks of both writes are seen."""
        return [points.is_pending(), points.is_record()]

    async def commit(self, parts: Sequence[Part]) -> None:
        """Puts the writes that these parts end in force, and removes those before.

        Raises:
            WriteLost: not all chunks of a write are there.
        """
        intents: list[Intent] = []
        operations: list[models.UpdateOperation] = []
        for tenant, own in by_tenant(parts).items():
            await self._refuse_incomplete(tenant, own)
            in_force = await settling.records(self._backend, tenant, [part.document_id for part in own])
            writes = {id_: row.write_id for id_, row in in_force.items()}
            for part in own:
                previous = writes.get(part.document_id, "")
                writes[part.document_id] = part.write_id  # the same document may come twice
                if previous == part.write_id:  # committed before, and the answer was lost
                    await self.abandon(tenant, [part.write_id])
                    continue
                intents.append(Intent(tenant, part.document_id, part.write_id, 0.0, previous))
                operations.extend(self._enforcing(part, previous))
        if operations:
            await self._backend.update(operations)
        for tenant, begun in by_tenant(intents).items():
            in_force = await settling.records(self._backend, tenant, [own.document_id for own in begun])
            await settling.settle(self._backend, tenant, begun, in_force)

    async def abandon(self, tenant: str, write_ids: Sequence[str]) -> None:
        """Removes what was written of writes that will not go on. One that is in force already stays, and what it
        replaced goes."""
        found = await settling.intents(self._backend, tenant, write_ids)
        in_force = await settling.records(self._backend, tenant, [intent.document_id for intent in found])
        await settling.settle(self._backend, tenant, found, in_force)

    async def delete(self, tenant: str, document_ids: Sequence[str]) -> int:
        """Removes documents; gives how many there were. Writes that have not ended go on."""
        return await settling.delete_documents(self._backend, tenant, document_ids)

    async def documents(self, tenant: str, prefix: str, after: str, limit: int) -> list[DocumentSummary]:
        """A tenant's documents, by id. The server cannot sort by a keyword: every page reads all of the tenant's
        records."""
        rows = [
            row
            for row in await self._rows(tenant)
            if row.document_id > after and row.document_id.startswith(prefix)
        ]
        return [DocumentSummary(row.document_id, row.chunks, row.expires) for row in rows[:limit]]

    async def usage(self, tenant: str) -> Usage:
        """What a tenant holds."""
        chunks = models.Filter(must=[points.of_tenant(tenant)], must_not=self.hidden(tenant))
        records = points.records(points.of_tenant(tenant))
        return Usage(
            documents=await self._backend.count(tenant, records, exact=True),
            chunks=await self._backend.count(tenant, chunks, exact=True),
        )

    async def touch(self, tenant: str, expiries: Mapping[str, float | None]) -> None:
        """Notes when stored documents' times are over."""
        for expires, document_ids in inverted(expiries).items():
            ids = [points.record_id(tenant, document_id) for document_id in document_ids]
            records = models.Filter(must=[models.HasIdCondition(has_id=ids)])
            if expires is None:
                await self._backend.update([self._clearing(tenant, Payload.EXPIRES, records)])
            else:
                await self._backend.set_payload(tenant, {Payload.EXPIRES.value: expires}, records)

    async def sweep(self, now: float) -> int:
        """See `sweeping.sweep`; may run in several replicas at once."""
        return await sweeping.sweep(self._backend, now)

    async def inventory(self, after: tuple[str, str], limit: int) -> list[Stocked]:
        """Documents of all tenants in force, by tenant and id. Every page reads all records of its tenants."""
        rows: list[Stocked] = []
        for tenant in sorted(await self._backend.values_everywhere(Payload.TENANT, points.records())):
            if tenant >= after[0]:
                rows += [row for row in await self._rows(tenant) if (row.tenant, row.document_id) > after]
            if len(rows) >= limit:
                break
        return rows[:limit]

    async def epoch(self, tenant: str, now: float) -> Epoch | None:
        """None: other replicas write here too, and a server's replicas may lag behind each other. A number that all of
        them agree on would have to be written and read by a quorum."""
        return None

    async def close(self) -> None:
        """Nothing to do: all is on the server."""

    async def _rows(self, tenant: str) -> list[Stocked]:
        wanted = points.records(points.of_tenant(tenant))
        found = await settling.every_page(lambda offset: self._backend.scroll(tenant, wanted, _PAGE, offset))
        return sorted((points.read_record(point) for point in found), key=lambda row: row.document_id)

    def _enforcing(self, part: Part, previous: str) -> list[models.UpdateOperation]:
        shard = self._backend.selector(part.tenant)
        remembered = models.SetPayload(
            payload=points.previous_payload(previous),
            points=[points.intent_id(part.tenant, part.write_id)],
            shard_key=shard,
        )
        record = models.PointsList(
            points=[points.record_point(part)],
            shard_key=shard,
            update_filter=models.Filter(must=[points.in_write(previous)]) if previous else None,
            update_mode=None if previous else models.UpdateMode.INSERT_ONLY,
        )
        operations: list[models.UpdateOperation] = [
            models.SetPayloadOperation(set_payload=remembered),
            # Before the record: a write in force has nothing that is pending.
            self._clearing(part.tenant, PENDING, points.chunks_of(part.tenant, [part.write_id])),
            models.UpsertOperation(upsert=record),
        ]
        if previous:
            # Also where the record named another by then: that one had replaced it.
            replaced = points.chunks_of(part.tenant, [previous])
            operations.append(
                models.DeleteOperation(delete=models.FilterSelector(filter=replaced, shard_key=shard))
            )
        return operations

    def _clearing(self, tenant: str, field: str, filter_: models.Filter) -> models.UpdateOperation:
        shard = self._backend.selector(tenant)
        cleared = models.DeletePayload(keys=[field], filter=filter_, shard_key=shard)
        return models.DeletePayloadOperation(delete_payload=cleared)

    async def _refuse_incomplete(self, tenant: str, parts: Sequence[Part]) -> None:
        chunks = points.chunks_of(tenant, [part.write_id for part in parts])
        there = dict(await self._backend.facet(tenant, Payload.WRITE, chunks, len(parts), exact=True))
        for part in parts:
            if there.get(part.write_id, 0) != part.total:
                raise WriteLost(part.document_id)
