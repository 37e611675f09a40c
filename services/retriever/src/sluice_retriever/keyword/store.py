"""What a keyword store has to do: one protocol, an embedded engine and search servers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

#: Ids of points with their scores, best first. Scores compare within one answer only.
Hits = list[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Entry:
    """What a keyword store holds of a chunk."""

    point_id: str
    """The chunk's point in the vector store; unique over all tenants."""
    write_id: str
    """The write of the document that it came with."""
    tenant: str
    document_id: str
    title: str
    """The document's title and the headings above the chunk."""
    text: str


class KeywordStore(Protocol):
    """An index over the words of chunks.

    It decides nothing about who may see what: a hit is an id, to be looked up in the vector store under the reader's
    filter. What is stale or foreign here can thus take another's place among the hits, but is never shown.

    Errors are those of `sluice_servicekit.errors`: `Unavailable` and `DeadlineExceeded` where the store may answer
    later, and `FailedPrecondition` where somebody has to set something right.
    """

    async def ensure(self) -> None:
        """Makes the index where there is none, and checks one that is there."""
        ...

    async def write(self, entries: Sequence[Entry]) -> None:
        """Writes entries in place of those with the same ids; they are durable once it returns, and found at once or,
        on a server, with its next refresh."""
        ...

    async def delete_writes(self, tenant: str, write_ids: Sequence[str]) -> None:
        """Removes the entries of these writes; unknown ones are not an error."""
        ...

    async def search(self, tenant: str, query: str, limit: int) -> Hits:
        """Those of the tenant's entries that fit best. The query is text: nothing in it is syntax but quotation
        marks, see `question`."""
        ...

    async def count(self, tenant: str) -> int:
        """How many entries a tenant has."""
        ...

    async def tenants(self) -> set[str]:
        """Who has entries here."""
        ...

    async def writes(self, tenant: str) -> Mapping[str, int]:
        """A tenant's writes, with how many entries each has."""
        ...

    async def close(self) -> None:
        """Lets go of the store; its data stays."""
        ...
