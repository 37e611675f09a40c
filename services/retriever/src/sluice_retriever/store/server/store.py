"""`Store` on a server, as the retriever has it: what other replicas do ends in errors that a caller can act on."""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from sluice_api.objects.knowledge_base import Language
from sluice_retriever.domain.model import DocumentSummary, Epoch, Reader, Usage
from sluice_retriever.store.messages import Found, Lookup, Part, Piece, Stocked, Stored, WriteLost
from sluice_retriever.store.server.backend import ServerBackend
from sluice_retriever.store.server.ledger import ServerLedger
from sluice_retriever.store.staged import Legs
from sluice_retriever.store.store import BackendStore
from sluice_servicekit.errors import NotFound, ServiceError, Unavailable

T = TypeVar("T")

_LOG = logging.getLogger(__name__)


class ServerStore:
    """One generation.

    Args:
        backend: Its points.
        language: Of the sparse leg.
        replaced: Called when it turns out to be gone: another replica has rebuilt the knowledge base.
    """

    def __init__(
        self,
        backend: ServerBackend,
        language: Language = Language.AUTO,
        replaced: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = BackendStore(backend, ServerLedger(backend), language)
        self._replaced = replaced
        self._background: set[asyncio.Task[None]] = set()

    async def stored(self, tenant: str, document_ids: Sequence[str]) -> dict[str, Stored]:
        """What is stored of those documents that are."""
        return await self._call(self._store.stored(tenant, document_ids))

    async def write(self, parts: Sequence[Part]) -> None:
        """Writes parts of documents; those that end here are in force and durable once it returns."""
        try:
            await self._call(self._store.write(parts))
        except WriteLost as error:
            raise Unavailable(
                f"document {error} was given up while it was written; send it again", retry_after=0.5
            ) from error

    async def abandon(self, tenant: str, write_ids: Sequence[str]) -> None:
        """Has removed what was written of writes that will not go on; does not wait. What fails is swept later."""
        # With no deadline: the caller's may be what ended the write.
        task = asyncio.create_task(self._abandon(tenant, write_ids), context=contextvars.Context())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def delete(self, tenant: str, document_ids: Sequence[str]) -> int:
        """Removes documents; gives how many there were."""
        return await self._call(self._store.delete(tenant, document_ids))

    async def documents(self, tenant: str, prefix: str, after: str, limit: int) -> list[DocumentSummary]:
        """A tenant's documents, by id."""
        return await self._call(self._store.documents(tenant, prefix, after, limit))

    async def usage(self, tenant: str) -> Usage:
        """What a tenant holds."""
        return await self._call(self._store.usage(tenant))

    async def touch(self, tenant: str, expiries: Mapping[str, float | None]) -> None:
        """Sets when stored documents' times are over."""
        await self._call(self._store.touch(tenant, expiries))

    async def sweep(self, now: float) -> int:
        """Removes documents whose time is over, and what was left half written."""
        return await self._call(self._store.sweep(now))

    async def epoch(self, tenant: str, now: float) -> Epoch | None:
        """Where a tenant's writes stand."""
        return await self._call(self._store.epoch(tenant, now))

    async def inventory(self, after: tuple[str, str], limit: int) -> list[Stocked]:
        """Documents of all tenants."""
        return await self._call(self._store.inventory(after, limit))

    async def read(self, row: Stocked, start: int, count: int) -> Part | None:
        """A run of a document's chunks as they were stored."""
        return await self._call(self._store.read(row, start, count))

    async def pieces(self, tenant: str, write_id: str, wordings: list[str]) -> list[Piece]:
        """Those chunks of a write that have one of these wordings."""
        return await self._call(self._store.pieces(tenant, write_id, wordings))

    async def share(self, lookup: Lookup) -> float:
        """The share of the tenant's chunks that a lookup may find, estimated."""
        return await self._call(self._store.share(lookup))

    async def values(self, reader: Reader, field: str, now: float, most: int) -> list[str]:
        """The commonest values of a metadata field in what a reader may see."""
        return await self._call(self._store.values(reader, field, now, most))

    async def legs(self, lookup: Lookup) -> Legs:
        """The first stage of the staged query."""
        return await self._call(self._store.legs(lookup))

    async def finish(self, lookup: Lookup, legs: Legs) -> Found:
        """The second stage of the staged query."""
        return await self._call(self._store.finish(lookup, legs))

    async def search(self, lookup: Lookup) -> Found:
        """The staged query."""
        return await self._call(self._store.search(lookup))

    async def close(self) -> None:
        """Waits for what is done in the background; the data stays."""
        await asyncio.gather(*self._background)
        await self._store.close()

    async def _abandon(self, tenant: str, write_ids: Sequence[str]) -> None:
        try:
            await self._store.abandon(tenant, write_ids)
        except ServiceError as error:
            _LOG.info("what is left of a write goes with the next sweep: %s", error)

    async def _call(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return await work
        except NotFound as error:
            self._replaced()
            raise Unavailable(
                "the knowledge base has been rebuilt elsewhere, and is opened anew",
                reason="GENERATION_REPLACED",
                retry_after=1.0,
            ) from error
