"""`Backend` over one Qdrant Edge shard. Its methods never wait: the engine is called and holds the interpreter's lock,
which is why it runs in a process of its own."""

from collections.abc import Sequence
from typing import Any, cast

import qdrant_edge as edge
from qdrant_client import models

from sluice_retriever.store.backend import Hit, Offset
from sluice_retriever.store.edge import queries
from sluice_retriever.store.edge.filters import edge_filter

_BUCKETS = 4096


class EdgeBackend:
    """The points of a generation in one shard; tenants differ by payload only."""

    def __init__(self, shard: edge.EdgeShard) -> None:
        self._shard = shard

    async def upsert(self, tenant: str, points: Sequence[models.PointStruct]) -> None:
        """Writes points."""
        self._shard.update(edge.UpdateOperation.upsert_points([queries.point(point) for point in points]))

    async def query(self, tenant: str, requests: Sequence[models.QueryRequest]) -> list[list[Hit]]:
        """Answers queries in one pass over the shard."""
        batch = edge.QueryBatchRequest([queries.request(request) for request in requests])
        answers = self._shard.query_batch(batch)
        return [[Hit(str(found.id), found.score) for found in answer] for answer in answers]

    async def retrieve(
        self,
        tenant: str,
        ids: Sequence[str],
        *,
        payload: bool | list[str] = True,
        vectors: bool | list[str] = False,
    ) -> list[models.Record]:
        """Those of the points that there are."""
        return [queries.record(found) for found in self._shard.retrieve(list(ids), payload, vectors)]

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
        found, following = self._shard.scroll(
            edge.ScrollRequest(
                offset=offset,
                limit=limit,
                filter=edge_filter(filter_),
                with_payload=payload,
                with_vector=vectors,
            )
        )
        return [queries.record(each) for each in found], None if following is None else str(following)

    async def count(self, tenant: str, filter_: models.Filter | None, *, exact: bool) -> int:
        """How many points a filter lets pass."""
        wanted = None if filter_ is None else edge_filter(filter_)
        return self._shard.count(edge.CountRequest(exact=exact, filter=wanted))

    async def facet(
        self, tenant: str, key: str, filter_: models.Filter | None, limit: int
    ) -> list[tuple[str, int]]:
        """The commonest values of a keyword field."""
        wanted = None if filter_ is None else edge_filter(filter_)
        answer = self._shard.facet(edge.FacetRequest(key, min(limit, _BUCKETS), exact=True, filter=wanted))
        return [(str(hit.value), hit.count) for hit in answer.hits]

    async def set_payload(self, tenant: str, payload: dict[str, object], filter_: models.Filter) -> None:
        """Sets fields of all points that a filter lets pass."""
        self._shard.update(
            edge.UpdateOperation.set_payload_by_filter(edge_filter(filter_), cast("Any", payload))
        )

    async def delete(self, tenant: str, filter_: models.Filter) -> None:
        """Removes the points that a filter lets pass."""
        if not (filter_.must or filter_.should or filter_.must_not):
            raise ValueError("an empty filter would remove everything")
        self._shard.update(edge.UpdateOperation.delete_points_by_filter(edge_filter(filter_)))

    async def flush(self) -> None:
        """What was written before is durable once it returns."""
        self._shard.flush()

    async def close(self) -> None:
        """Flushes and lets go of the directory."""
        self._shard.flush()
        self._shard.close()

    def optimize(self) -> None:
        """Builds the graph where the configuration has one. Takes minutes, and nothing else runs meanwhile."""
        self._shard.optimize()
        self._shard.flush()
