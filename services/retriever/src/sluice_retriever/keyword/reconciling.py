"""Makes a keyword store hold what the vector store has in force: no entry less, and nothing that is over."""

import time
from collections.abc import Callable, Set
from dataclasses import dataclass

from sluice_retriever.keyword import entries
from sluice_retriever.keyword.store import KeywordStore
from sluice_retriever.store.messages import Stocked
from sluice_retriever.store.reading import PAGE, parts_of
from sluice_retriever.store.store import Store


@dataclass(slots=True)
class Reconciled:
    """What a comparison has changed."""

    added: int = 0
    """Documents."""
    removed: int = 0
    """Writes."""


class Reconciler:
    """Compares, as often as it is asked to, and repairs.

    Args:
        vectors: What is right.
        keyword: What is made to agree.
        pending: Writes of this process that are neither in force nor abandoned yet.
        grace: Seconds for which a write that is not in force is left alone: another retriever may be writing it.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        vectors: Store,
        keyword: KeywordStore,
        pending: Callable[[], Set[str]],
        grace: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vectors = vectors
        self._keyword = keyword
        self._pending = pending
        self._grace = grace
        self._clock = clock
        self._first_seen: dict[tuple[str, str], float] = {}
        """When a write was first found not to be in force."""

    async def run(self) -> Reconciled:
        """One comparison of all tenants."""
        done = Reconciled()
        seen: set[tuple[str, str]] = set()
        tenants: set[str] = set()
        tenant = await self._first_tenant()
        while tenant is not None:
            tenants.add(tenant)
            tenant = await self._tenant(tenant, done, seen)
        for other in await self._keyword.tenants() - tenants:
            await self._tenant(other, done, seen)
        self._first_seen = {key: when for key, when in self._first_seen.items() if key in seen}
        return done

    async def _first_tenant(self) -> str | None:
        first = await self._vectors.inventory(("", ""), 1)
        return first[0].tenant if first else None

    async def _tenant(self, tenant: str, done: Reconciled, seen: set[tuple[str, str]]) -> str | None:
        """Compares a tenant's documents; gives the tenant that follows it."""
        # In this order: a write that is there, no longer pending and not in the inventory either, is over.
        there = dict(await self._keyword.writes(tenant))
        pending = set(self._pending())
        following: str | None = None
        after = (tenant, "")
        while following is None and (page := await self._vectors.inventory(after, PAGE)):
            for row in page:
                if row.tenant != tenant:
                    following = row.tenant
                    break
                if there.pop(row.write_id, 0) != row.chunks:
                    await self._add(row)
                    done.added += 1
            after = page[-1].tenant, page[-1].document_id
        over = [write for write in there if write not in pending and self._is_over(tenant, write)]
        seen.update((tenant, write) for write in there)
        await self._keyword.delete_writes(tenant, over)
        done.removed += len(over)
        return following

    async def _add(self, row: Stocked) -> None:
        async for part in parts_of(self._vectors, row):
            await self._keyword.write(entries.of_part(part))

    def _is_over(self, tenant: str, write: str) -> bool:
        now = self._clock()
        return now - self._first_seen.setdefault((tenant, write), now) >= self._grace
