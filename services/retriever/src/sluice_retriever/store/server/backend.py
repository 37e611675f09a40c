"""`Backend` over a Qdrant server: one collection, every call routed to its tenant's shard."""

from collections.abc import Sequence
from typing import cast

from qdrant_client import models

from sluice_retriever.store.backend import Hit, Offset
from sluice_retriever.store.server.connection import Connection, seconds_left

#: Points of one request: with their tokens' vectors some 10 MB.
_BATCH = 100

#: Tenants of a knowledge base at most, as far as a sweep or a rebuild sees them.
_VALUES = 100_000

_Selector = models.ShardKeyWithFallback | None


class ServerBackend:
    """The points of one generation, in one collection.

    Args:
        connection: The server. It is shared, and outlives the backend.
        collection: The collection's name.
    """

    def __init__(self, connection: Connection, collection: str) -> None:
        self.connection = connection
        self.collection = collection

    def selector(self, tenant: str) -> _Selector:
        """Where a tenant's points are: its own shard if it can be read, else the fallback. None where the server is
        no cluster. A filter on the tenant is needed beside it: the fallback is everybody's."""
        if not self.connection.capabilities.cluster:
            return None
        return models.ShardKeyWithFallback(target=tenant, fallback=self.connection.spec.fallback_shard)

    async def upsert(self, tenant: str, points: Sequence[models.PointStruct]) -> None:
        """Writes points; seen by searches once it returns."""
        for start in range(0, len(points), _BATCH):
            await self.connection.run(
                self.connection.client.upsert(
                    self.collection,
                    list(points[start : start + _BATCH]),
                    wait=True,
                    shard_key_selector=self.selector(tenant),
                )
            )

    async def query(self, tenant: str, requests: Sequence[models.QueryRequest]) -> list[list[Hit]]:
        """Answers queries in one call, each best first."""
        selector = self.selector(tenant)
        routed = [request.model_copy(update={"shard_key": selector}) for request in requests]
        responses = await self.connection.run(
            self.connection.client.query_batch_points(self.collection, routed, timeout=seconds_left())
        )
        return [[Hit(str(point.id), point.score) for point in response.points] for response in responses]

    async def retrieve(
        self,
        tenant: str,
        ids: Sequence[str],
        *,
        payload: bool | list[str] = True,
        vectors: bool | list[str] = False,
    ) -> list[models.Record]:
        """Those of the points that there are, in any order."""
        return await self.connection.run(
            self.connection.client.retrieve(
                self.collection,
                list(ids),
                with_payload=payload,
                with_vectors=vectors,
                shard_key_selector=self.selector(tenant),
                timeout=seconds_left(),
            )
        )

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
        return await self._scroll(filter_, limit, offset, payload, vectors, self.selector(tenant))

    async def scroll_everywhere(
        self, filter_: models.Filter, limit: int, offset: Offset = None
    ) -> tuple[list[models.Record], Offset]:
        """A page of all shards' points; those of a tenant that is moving come twice."""
        return await self._scroll(filter_, limit, offset, True, False, None)  # noqa: FBT003

    async def count(self, tenant: str, filter_: models.Filter | None, *, exact: bool) -> int:
        """How many points a filter lets pass."""
        counted = await self.connection.run(
            self.connection.client.count(
                self.collection,
                filter_,
                exact=exact,
                shard_key_selector=self.selector(tenant),
                timeout=seconds_left(),
            )
        )
        return counted.count

    async def facet(
        self, tenant: str, key: str, filter_: models.Filter | None, limit: int, *, exact: bool = False
    ) -> list[tuple[str, int]]:
        """The commonest values of a keyword field, with how many points have each, exactly or nearly."""
        return await self._facet(key, filter_, limit, exact, self.selector(tenant))

    async def set_payload(self, tenant: str, payload: dict[str, object], filter_: models.Filter) -> None:
        """Sets fields of all points that a filter lets pass."""
        await self.connection.run(
            self.connection.client.set_payload(
                self.collection, payload, filter_, wait=True, shard_key_selector=self.selector(tenant)
            )
        )

    async def delete(self, tenant: str, filter_: models.Filter) -> None:
        """Removes the points that a filter lets pass.

        Raises:
            ValueError: the filter is empty.
        """
        if not any((filter_.must, filter_.should, filter_.must_not, filter_.min_should)):
            raise ValueError("an empty filter would remove every tenant's points")
        await self.connection.run(
            self.connection.client.delete(
                self.collection,
                models.FilterSelector(filter=filter_),
                wait=True,
                shard_key_selector=self.selector(tenant),
            )
        )

    async def update(self, operations: Sequence[models.UpdateOperation]) -> None:
        """Applies operations, each with its own `selector`, in order: one is done before the next begins. Where one
        fails, those before it stay."""
        await self.connection.run(
            self.connection.client.batch_update_points(
                # Strong: the replicas of a shard have to agree on what a condition met.
                self.collection,
                operations,
                wait=True,
                ordering=models.WriteOrdering.STRONG,
            )
        )

    async def values_everywhere(self, key: str, filter_: models.Filter) -> list[str]:
        """A keyword field's values in all shards."""
        return [value for value, _ in await self._facet(key, filter_, _VALUES, True, None)]  # noqa: FBT003

    async def flush(self) -> None:
        """Nothing to do: the server has logged a write once it answers."""

    async def close(self) -> None:
        """Nothing to do: the connection is shared."""

    async def _scroll(
        self,
        filter_: models.Filter,
        limit: int,
        offset: Offset,
        payload: bool | list[str],  # noqa: FBT001
        vectors: bool | list[str],  # noqa: FBT001
        selector: _Selector,
    ) -> tuple[list[models.Record], Offset]:
        found, after = await self.connection.run(
            self.connection.client.scroll(
                self.collection,
                filter_,
                limit,
                offset=offset,
                with_payload=payload,
                with_vectors=vectors,
                shard_key_selector=selector,
                timeout=seconds_left(),
            )
        )
        return found, cast("Offset", after)

    async def _facet(
        self,
        key: str,
        filter_: models.Filter | None,
        limit: int,
        exact: bool,  # noqa: FBT001
        selector: _Selector,
    ) -> list[tuple[str, int]]:
        response = await self.connection.run(
            self.connection.client.facet(
                self.collection,
                key,
                filter_,
                limit,
                exact=exact,
                shard_key_selector=selector,
                timeout=seconds_left(),
            )
        )
        return [(str(hit.value), hit.count) for hit in response.hits]
