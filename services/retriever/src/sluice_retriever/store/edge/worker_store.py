"""`Store` in the worker process, asked over its pipe."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from sluice_retriever.domain.model import DocumentSummary, Epoch, Reader, Usage
from sluice_retriever.store.edge import worker
from sluice_retriever.store.epochs import KnownEpochs
from sluice_retriever.store.messages import Found, Lookup, NotOpen, Part, Piece, Stocked, Stored, WriteLost
from sluice_retriever.store.staged import Legs
from sluice_retriever.worker_pool import WorkerPool
from sluice_servicekit.errors import Unavailable

T = TypeVar("T")


class WorkerStore:
    """A generation that the worker holds open under a name. Reads are asked again where the worker dies.

    Args:
        pool: The worker.
        name: The knowledge base's.
        closed: Called once nobody needs it any more.
    """

    def __init__(self, pool: WorkerPool, name: str, closed: Callable[[], object] = lambda: None) -> None:
        self._pool = pool
        self._name = name
        self._closed = closed
        self._epochs = KnownEpochs()

    async def stored(self, tenant: str, document_ids: Sequence[str]) -> dict[str, Stored]:
        """What is stored of those documents that are."""
        return await self._call(worker.stored, tenant, document_ids, attempts=2)

    async def write(self, parts: Sequence[Part]) -> None:
        """Writes parts of documents; those that end are in force and durable once it returns."""
        with self._epochs.changing():
            await self._call(worker.write, parts)

    async def abandon(self, tenant: str, write_ids: Sequence[str]) -> None:
        """Has removed what was written of writes that will not go on; does not wait."""
        self._pool.submit(worker.abandon, self._name, tenant, write_ids)

    async def delete(self, tenant: str, document_ids: Sequence[str]) -> int:
        """Removes documents; gives how many there were."""
        with self._epochs.changing():
            return await self._call(worker.delete, tenant, document_ids)

    async def documents(self, tenant: str, prefix: str, after: str, limit: int) -> list[DocumentSummary]:
        """A tenant's documents, by id."""
        return await self._call(worker.documents, tenant, prefix, after, limit, attempts=2)

    async def usage(self, tenant: str) -> Usage:
        """What a tenant holds."""
        return await self._call(worker.usage, tenant, attempts=2)

    async def touch(self, tenant: str, expiries: Mapping[str, float | None]) -> None:
        """Sets when stored documents' times are over."""
        with self._epochs.changing():
            await self._call(worker.touch, tenant, dict(expiries), attempts=2)

    async def sweep(self, now: float) -> int:
        """Removes documents whose time is over."""
        with self._epochs.changing():
            return await self._call(worker.sweep, now)

    async def epoch(self, tenant: str, now: float) -> Epoch | None:
        """Where a tenant's writes stand; remembered here until something is written."""
        return await self._epochs.of(tenant, now, lambda: self._call(worker.epoch, tenant, now, attempts=2))

    async def inventory(self, after: tuple[str, str], limit: int) -> list[Stocked]:
        """Documents of all tenants."""
        return await self._call(worker.inventory, after, limit, attempts=2)

    async def read(self, row: Stocked, start: int, count: int) -> Part | None:
        """A run of a document's chunks as they were stored."""
        return await self._call(worker.read, row, start, count, attempts=2)

    async def pieces(self, tenant: str, write_id: str, wordings: list[str]) -> list[Piece]:
        """Those chunks of a write that have one of these wordings."""
        return await self._call(worker.pieces, tenant, write_id, wordings, attempts=2)

    async def share(self, lookup: Lookup) -> float:
        """The share of the tenant's chunks that a lookup may find, estimated."""
        return await self._call(worker.share, lookup, attempts=2)

    async def values(self, reader: Reader, field: str, now: float, most: int) -> list[str]:
        """The commonest values of a metadata field in what a reader may see."""
        return await self._call(worker.values, reader, field, now, most, attempts=2)

    async def legs(self, lookup: Lookup) -> Legs:
        """The first stage of the staged query."""
        return await self._call(worker.legs, lookup, attempts=2)

    async def finish(self, lookup: Lookup, legs: Legs) -> Found:
        """The second stage of the staged query."""
        return await self._call(worker.finish, lookup, legs, attempts=2)

    async def search(self, lookup: Lookup) -> Found:
        """The staged query, both stages in one call."""
        return await self._call(worker.search, lookup, attempts=2)

    async def optimize(self) -> None:
        """Builds the graph where the generation has one; the worker does nothing else meanwhile."""
        await self._call(worker.optimize)

    async def close(self) -> None:
        """Has the worker close the generation; does not wait."""
        self._closed()
        self._pool.submit(worker.close_store, self._name)

    async def _call(self, function: Callable[..., T], *args: object, attempts: int = 1) -> T:
        try:
            return await self._pool.run(function, self._name, *args, attempts=attempts)
        except NotOpen as error:
            raise Unavailable(f"knowledge base {self._name!r} cannot be opened at present") from error
        except WriteLost as error:
            raise Unavailable(
                f"the worker was replaced while document {error} was written; send it again", retry_after=0.5
            ) from error
