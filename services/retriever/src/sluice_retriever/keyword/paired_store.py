"""A vector store with a keyword store beside it: written together, searched together, the vectors alone decide."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace

from sluice_retriever.domain.model import DocumentSummary, Epoch, Leg, Reader, Usage
from sluice_retriever.keyword import entries
from sluice_retriever.keyword.follower import Follower
from sluice_retriever.keyword.leg import KeywordLeg
from sluice_retriever.keyword.reconciling import Reconciler
from sluice_retriever.keyword.store import KeywordStore
from sluice_retriever.store.grouping import by_tenant
from sluice_retriever.store.messages import Found, Lookup, Part, Piece, Stocked, Stored
from sluice_retriever.store.staged import Legs
from sluice_retriever.store.store import Store
from sluice_servicekit.errors import ServiceError

#: Hits fetched for each candidate that the leg contributes: some may be hidden from the reader, or over.
_OVERFETCH = 3

#: Hits that servers give at most is 10,000.
_MOST = 3000


class PairedStore:
    """`Store` on another one, with a keyword leg.

    Entries are written before their document is in force and removed after it no longer is, so that none is missing
    in between. What the keyword store could not be told is made good by comparison.
    """

    def __init__(
        self,
        name: str,
        vectors: Store,
        keyword: KeywordStore,
        grace: float = 0.0,
        leg: KeywordLeg | None = None,
    ) -> None:
        self.vectors = vectors
        self._name = name
        self._keyword = keyword
        self._grace = grace
        self._leg = leg or KeywordLeg(name, keyword)
        self._pending: dict[str, str] = {}
        """Documents by write that is neither in force nor abandoned."""
        self._untold: set[str] = set()
        """Those of them of which the keyword store lacks something."""
        self._follower = Follower(name, keyword, Reconciler(vectors, keyword, self._writes_pending, grace))

    async def start(self) -> None:
        """Opens the keyword store; where that fails, goes on trying."""
        await self._follower.start()

    async def stored(self, tenant: str, document_ids: Sequence[str]) -> dict[str, Stored]:
        """What is stored of those documents that are."""
        return await self.vectors.stored(tenant, document_ids)

    async def write(self, parts: Sequence[Part]) -> None:
        """Writes parts of documents; the keyword store's failures are not theirs."""
        ended = [part for part in parts if part.total is not None]
        before = await self._in_force(ended)
        self._pending.update((part.write_id, part.document_id) for part in parts)
        found = [entry for part in parts for entry in entries.of_part(part)]
        if not await self._follower.tell(lambda: self._keyword.write(found)):
            self._untold.update(part.write_id for part in parts)
        await self.vectors.write(parts)
        if self._forget(part.write_id for part in ended):
            self._follower.compare()
        for tenant, writes in before.items():
            await self._remove(tenant, writes)

    async def abandon(self, tenant: str, write_ids: Sequence[str]) -> None:
        """Removes what was written of writes that will not go on."""
        await self.vectors.abandon(tenant, write_ids)
        documents = [self._pending[write] for write in write_ids if write in self._pending]
        try:
            # One may be in force after all, where only the word of it was lost.
            known = await self.vectors.stored(tenant, documents)
        except ServiceError:
            self._follower.compare()
        else:
            in_force = {stored.write_id for stored in known.values()}
            await self._remove(tenant, [write for write in write_ids if write not in in_force])
            if self._untold & in_force:
                self._follower.compare()
        self._forget(write_ids)

    async def delete(self, tenant: str, document_ids: Sequence[str]) -> int:
        """Removes documents; gives how many there were."""
        known = await self.vectors.stored(tenant, document_ids)
        deleted = await self.vectors.delete(tenant, document_ids)
        await self._remove(tenant, [stored.write_id for stored in known.values()])
        return deleted

    async def documents(self, tenant: str, prefix: str, after: str, limit: int) -> list[DocumentSummary]:
        """A tenant's documents, by id."""
        return await self.vectors.documents(tenant, prefix, after, limit)

    async def usage(self, tenant: str) -> Usage:
        """What a tenant holds."""
        return await self.vectors.usage(tenant)

    async def touch(self, tenant: str, expiries: Mapping[str, float | None]) -> None:
        """Sets when stored documents' times are over."""
        await self.vectors.touch(tenant, expiries)

    async def sweep(self, now: float) -> int:
        """Removes documents whose time is over; their entries with the comparison that follows."""
        swept = await self.vectors.sweep(now)
        if swept:
            self._follower.compare()
        return swept

    async def epoch(self, tenant: str, now: float) -> Epoch | None:
        """Where a tenant's writes stand. The keyword store only names candidates: what is shown is the other's."""
        return await self.vectors.epoch(tenant, now)

    async def inventory(self, after: tuple[str, str], limit: int) -> list[Stocked]:
        """Documents of all tenants."""
        return await self.vectors.inventory(after, limit)

    async def read(self, row: Stocked, start: int, count: int) -> Part | None:
        """A run of a document's chunks as they were stored."""
        return await self.vectors.read(row, start, count)

    async def pieces(self, tenant: str, write_id: str, wordings: list[str]) -> list[Piece]:
        """Those chunks of a write that have one of these wordings."""
        return await self.vectors.pieces(tenant, write_id, wordings)

    async def share(self, lookup: Lookup) -> float:
        """The share of the tenant's chunks that a lookup may find, estimated."""
        return await self.vectors.share(lookup)

    async def values(self, reader: Reader, field: str, now: float, most: int) -> list[str]:
        """The commonest values of a metadata field in what a reader may see."""
        return await self.vectors.values(reader, field, now, most)

    async def legs(self, lookup: Lookup) -> Legs:
        """The first stage, without the keyword leg."""
        return await self.vectors.legs(lookup)

    async def finish(self, lookup: Lookup, legs: Legs) -> Found:
        """The second stage."""
        return await self.vectors.finish(lookup, legs)

    async def search(self, lookup: Lookup) -> Found:
        """The staged query, the keyword leg at the same time as the first stage."""
        parameters = lookup.parameters
        if not parameters.weights[Leg.KEYWORD]:
            return await self.vectors.search(lookup)
        limit = min(_MOST, _OVERFETCH * parameters.leg_limit)
        asked = self._leg.run(lookup.reader.tenant, lookup.query, limit, parameters.keyword_timeout)
        keyword = asyncio.create_task(asked)
        try:
            legs = await self.vectors.legs(lookup)
            found = await keyword
        finally:
            keyword.cancel()
        answer = await self.vectors.finish(lookup, {**legs, Leg.KEYWORD: found.hits})
        return replace(answer, degraded=(found.degraded,)) if found.degraded else answer

    async def onto(self, vectors: Store) -> "PairedStore":
        """The same keyword store beside another generation, whose points have the same ids. Nobody may write."""
        await self._follower.close()
        moved = PairedStore(self._name, vectors, self._keyword, self._grace, self._leg)
        await moved.start()
        return moved

    async def detach(self) -> Store:
        """Closes the keyword store; gives the vector store, which stays open."""
        await self._follower.close()
        await self._keyword.close()
        return self.vectors

    async def close(self) -> None:
        """Lets go of both stores; their data stays."""
        await (await self.detach()).close()

    def _writes_pending(self) -> Set[str]:
        return self._pending.keys()

    def _forget(self, write_ids: Iterable[str]) -> bool:
        """Notes that these writes have ended; True where the keyword store lacks some of one."""
        ended = set(write_ids)
        for write in ended:
            self._pending.pop(write, None)
        missed = bool(self._untold & ended)
        self._untold -= ended
        return missed

    async def _in_force(self, parts: Sequence[Part]) -> dict[str, list[str]]:
        """By tenant, the writes in force of these parts' documents."""
        known = {
            tenant: await self.vectors.stored(tenant, tuple({part.document_id for part in own}))
            for tenant, own in by_tenant(parts).items()
        }
        return {
            tenant: [stored.write_id for stored in documents.values()] for tenant, documents in known.items()
        }

    async def _remove(self, tenant: str, write_ids: Sequence[str]) -> None:
        if write_ids and not await self._follower.tell(
            lambda: self._keyword.delete_writes(tenant, write_ids)
        ):
            self._follower.compare()
