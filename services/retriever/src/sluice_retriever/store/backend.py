"""What a vector store has to do, in `qdrant_client.models`' words: one protocol, an embedded engine and a server."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from qdrant_client import models

#: Where a scroll goes on.
Offset = models.ExtendedPointId | None


class Hit(NamedTuple):
    """A point that a query has found. No model of the client library's: a search makes some four hundred."""

    id: str
    score: float
    """In the engine's sense: for Euclid, less is better."""


class Backend(Protocol):
    """The points of one generation of a knowledge base.

    A tenant is named with every call: a server routes by it, and no call sees another tenant's shard. It is no filter;
    the caller's filter holds the tenant too.
    """

    async def upsert(self, tenant: str, points: Sequence[models.PointStruct]) -> None:
        """Writes points; seen by searches once it returns."""
        ...

    async def query(self, tenant: str, requests: Sequence[models.QueryRequest]) -> list[list[Hit]]:
        """Answers queries in one call, each best first."""
        ...

    async def retrieve(
        self,
        tenant: str,
        ids: Sequence[str],
        *,
        payload: bool | list[str] = True,
        vectors: bool | list[str] = False,
    ) -> list[models.Record]:
        """Those of the points that there are, in any order."""
        ...

    async def scroll(
        self,
        tenant: str,
        filter_: models.Filter,
        limit: int,
        offset: Offset = None,
        *,
        payload: bool | list[str] = True,
        vectors: bool | list[str] = False,
    ) -> tuple[list[models.Record], Offset]:
        """A page of points by id, and where the next one starts."""
        ...

    async def count(self, tenant: str, filter_: models.Filter | None, *, exact: bool) -> int:
        """How many points a filter lets pass."""
        ...

    async def facet(
        self, tenant: str, key: str, filter_: models.Filter | None, limit: int
    ) -> list[tuple[str, int]]:
        """The commonest values of a keyword field, with how many points have each."""
        ...

    async def set_payload(self, tenant: str, payload: dict[str, object], filter_: models.Filter) -> None:
        """Sets fields of all points that a filter lets pass."""
        ...

    async def delete(self, tenant: str, filter_: models.Filter) -> None:
        """Removes the points that a filter lets pass; an empty filter is refused."""
        ...

    async def flush(self) -> None:
        """What was written before is durable once it returns."""
        ...

    async def close(self) -> None:
        """Lets go of the store; its data stays."""
        ...
