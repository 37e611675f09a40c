"""Which write of each document is in force: the protocol that makes documents whole or not at all."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from qdrant_client import models

from sluice_retriever.domain.model import DocumentSummary, Epoch, Usage
from sluice_retriever.store.messages import Part, Stocked, Stored


class Ledger(Protocol):
    """Keeps account of writes. The points of a write that is not in force are never shown."""

    async def stored(self, tenant: str, document_ids: Sequence[str]) -> dict[str, Stored]:
        """What is stored of those documents that are."""
        ...

    async def begin(self, parts: Sequence[Part]) -> None:
        """Notes that points of these writes are about to arrive.

        Raises:
            WriteLost: a part goes on with a write that is not known.
        """
        ...

    def mark(self, part: Part) -> dict[str, object]:
        """What else the payload of a part's points says until the write is in force."""
        ...

    def hidden(self, tenant: str) -> list[models.Condition]:
        """What tells the points that no search may show."""
        ...

    async def commit(self, parts: Sequence[Part]) -> None:
        """Puts the writes that these parts end in force, durably, and removes those before."""
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
        """Notes when stored documents' times are over, by id, in epoch seconds."""
        ...

    async def sweep(self, now: float) -> int:
        """Removes documents whose time is over, and what was left half written; gives how many documents."""
        ...

    async def inventory(self, after: tuple[str, str], limit: int) -> list[Stocked]:
        """Documents of all tenants in force, ordered by tenant and id, after such a pair."""
        ...

    async def epoch(self, tenant: str, now: float) -> Epoch | None:
        """Where a tenant's writes stand; None where that cannot be told."""
        ...

    async def close(self) -> None:
        """Lets go; what was noted stays."""
        ...
