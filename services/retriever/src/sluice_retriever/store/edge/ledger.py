"""Which documents are in force in the embedded engine: `Ledger` over a register in SQLite beside the shard."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from qdrant_client import models

from sluice_retriever.domain.model import DocumentSummary, Epoch, Usage
from sluice_retriever.store import filters
from sluice_retriever.store.backend import Backend
from sluice_retriever.store.edge.register import Register
from sluice_retriever.store.messages import Part, Stocked, Stored, WriteLost


class RegisterLedger:
    """A write counts once the register says so; the engine has to be durable by then."""

    def __init__(self, backend: Backend, path: Path) -> None:
        self._backend = backend
        self._register = Register(path)

    async def recover(self) -> None:
        """Removes what a process that died has left half written."""
        await self.abandon("", self._register.unfinished())

    async def stored(self, tenant: str, document_ids: Sequence[str]) -> dict[str, Stored]:
        """What is stored of those documents that are."""
        found = ((document, self._register.stored(tenant, document)) for document in document_ids)
        return {document: content for document, content in found if content is not None}

    async def begin(self, parts: Sequence[Part]) -> None:
        """Notes that points of these writes are about to arrive."""
        for part in parts:
            if not part.first and not self._register.is_pending(part.write_id):
                raise WriteLost(part.document_id)
        self._register.begin(part for part in parts if part.first)

    def mark(self, part: Part) -> dict[str, object]:
        """What else the payload of a part's points says."""
        return {}

    def hidden(self, tenant: str) -> list[models.Condition]:
        """Points that no search may show."""
        unfinished = self._register.unfinished()
        return [filters.in_writes(unfinished)] if unfinished else []

    async def commit(self, parts: Sequence[Part]) -> None:
        """Puts the writes that these parts end in force, in place of those before."""
        if parts:
            await self._backend.flush()
            self._register.commit(parts)
            await self._remove_stale()

    async def abandon(self, tenant: str, write_ids: Sequence[str]) -> None:
        """Removes what was written of writes that will not go on."""
        if write_ids:
            self._register.abandon(write_ids)
        await self._remove_stale()

    async def delete(self, tenant: str, document_ids: Sequence[str]) -> int:
        """Removes documents; gives how many there were."""
        deleted = self._register.retire(tenant, document_ids)
        await self._remove_stale()
        return deleted

    async def documents(self, tenant: str, prefix: str, after: str, limit: int) -> list[DocumentSummary]:
        """A tenant's documents, by id."""
        return self._register.documents(tenant, prefix, after, limit)

    async def usage(self, tenant: str) -> Usage:
        """What a tenant holds."""
        return Usage(*self._register.usage(tenant))

    async def touch(self, tenant: str, expiries: Mapping[str, float | None]) -> None:
        """Notes when stored documents' times are over."""
        self._register.touch(tenant, expiries)

    async def sweep(self, now: float) -> int:
        """Removes documents whose time is over; gives how many."""
        expired = self._register.expire(now)
        if expired:
            await self._remove_stale()
        return expired

    async def inventory(self, after: tuple[str, str], limit: int) -> list[Stocked]:
        """Documents of all tenants in force, by tenant and id."""
        return self._register.inventory(after, limit)

    async def epoch(self, tenant: str, now: float) -> Epoch | None:
        """Where a tenant's writes stand."""
        return self._register.epoch(tenant, now)

    async def close(self) -> None:
        """Closes the register."""
        self._register.close()

    async def _remove_stale(self) -> None:
        if stale := self._register.stale():
            await self._backend.delete("", models.Filter(must=[filters.in_writes(stale)]))
            # The register forgets for good; the deletion has to be on disk by then.
            await self._backend.flush()
            self._register.forget(stale)
