"""One shard, held by qdrant-client's local mode; and which shards a selector means."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models

from support.qdrant_server import failures

#: The local collection's name, in every shard.
NAME = "shard"

_READABLE = {models.ReplicaState.ACTIVE, models.ReplicaState.ACTIVEREAD}

Selector = models.ShardKeySelector | None


@dataclass
class Shard:
    """A shard with one replica.

    The engine casts what it stores as uint8, and the questions to it, by cutting; local mode does not.
    """

    key: str | None
    number: int
    config: models.CreateCollection
    state: models.ReplicaState = models.ReplicaState.ACTIVE
    down: bool = False
    """Its only peer does not answer."""
    client: QdrantClient = field(default_factory=lambda: QdrantClient(":memory:"))

    def __post_init__(self) -> None:
        self.client.create_collection(
            NAME, vectors_config=self.config.vectors, sparse_vectors_config=self.config.sparse_vectors
        )

    @property
    def readable(self) -> bool:
        return self.state in _READABLE and not self.down

    def upsert(
        self,
        points: Sequence[models.PointStruct],
        update_filter: models.Filter | None,
        update_mode: models.UpdateMode | None,
    ) -> None:
        self.client.upsert(
            NAME,
            [self._stored(point) for point in points],
            update_filter=update_filter,
            update_mode=update_mode,
        )

    def query(self, request: models.QueryRequest, *, tenant_idf: bool) -> list[models.ScoredPoint]:
        prefetch = request.prefetch
        found = self.client.query_points(
            NAME,
            query=self._asked(request.query, request.using),
            using=request.using,
            prefetch=None if prefetch is None else self._prefetched(prefetch, tenant_idf),
            query_filter=request.filter,
            search_params=_parameters(request.params, tenant_idf),
            limit=request.limit or 10,
            offset=request.offset,
            with_payload=bool(request.with_payload) if request.with_payload is None else request.with_payload,
            with_vectors=bool(request.with_vector) if request.with_vector is None else request.with_vector,
            score_threshold=request.score_threshold,
        )
        return [point.model_copy(update={"shard_key": self.key}) for point in found.points]

    def is_distance(self, using: str | None) -> bool:
        """Less is better."""
        params = self._params(using)
        return params is not None and params.distance in (models.Distance.EUCLID, models.Distance.MANHATTAN)

    def _prefetched(self, given: Any, tenant_idf: bool) -> list[models.Prefetch]:
        return [
            each.model_copy(
                update={
                    "query": self._asked(each.query, each.using),
                    "params": _parameters(each.params, tenant_idf),
                    "prefetch": None
                    if each.prefetch is None
                    else self._prefetched(each.prefetch, tenant_idf),
                }
            )
            for each in (given if isinstance(given, list) else [given])
        ]

    def _stored(self, point: models.PointStruct) -> models.PointStruct:
        if not isinstance(point.vector, dict):
            return point
        vector = {name: self._cast(value, name) for name, value in point.vector.items()}
        return point.model_copy(update={"vector": vector})

    def _asked(self, query: Any, using: str | None) -> Any:
        if isinstance(query, models.NearestQuery):
            return query.model_copy(update={"nearest": self._cast(query.nearest, using)})
        return self._cast(query, using)

    def _cast(self, value: Any, name: str | None) -> Any:
        params = self._params(name)
        if params is None or params.datatype is not models.Datatype.UINT8 or not isinstance(value, list):
            return value
        return np.trunc(np.clip(np.array(value, np.float64), 0, 255)).tolist()

    def _params(self, name: str | None) -> models.VectorParams | None:
        vectors = self.config.vectors
        return vectors.get(name or "") if isinstance(vectors, dict) else vectors


def _parameters(given: models.SearchParams | None, tenant_idf: bool) -> models.SearchParams | None:
    # Local mode knows no other, and warns of them.
    return models.SearchParams(idf=given.idf) if given is not None and given.idf and tenant_idf else None


@dataclass
class Routing:
    """Which shards a request reaches. States as in Qdrant's `shard_holder`: a target that is being filled or has failed
    is passed over; in the short step before it is Active, it is read, and written together with the fallback."""

    shards: dict[str | None, Shard]
    peer: int

    def reading(self, selector: Selector) -> list[Shard]:
        if selector is None:
            found = [shard for shard in self.shards.values() if shard.readable or shard.key is None]
        elif isinstance(selector, models.ShardKeyWithFallback):
            target = self.shards.get(str(selector.target))
            found = [target if target and self._serves(target) else self._fallback(selector)]
        else:
            found = self._named(selector)
        for shard in found:
            if not shard.readable:
                raise failures.cannot_read(shard.number, self.peer)
        return found

    def writing(self, selector: Selector, *, points: bool) -> list[Shard]:
        """`points`: new ones, which have to be told where to go."""
        if selector is None:
            if points and None not in self.shards:
                raise failures.key_not_given()
            found = list(self.shards.values())
        elif isinstance(selector, models.ShardKeyWithFallback):
            target = self.shards.get(str(selector.target))
            if target is None or not self._serves(target):
                found = [self._fallback(selector)]
            elif target.state is models.ReplicaState.ACTIVEREAD:
                found = [target, self._fallback(selector)]
            else:
                found = [target]
        else:
            found = self._named(selector)
        if any(not shard.readable for shard in found):
            raise failures.cannot_write()
        return found

    @staticmethod
    def _serves(target: Shard) -> bool:
        # Whether a peer answers is not asked: an Active target that is down is an error, not the fallback's.
        return target.state in _READABLE

    def _fallback(self, selector: models.ShardKeyWithFallback) -> Shard:
        fallback = self.shards.get(str(selector.fallback))
        if fallback is None:
            raise failures.neither_key(str(selector.target), str(selector.fallback))
        return fallback

    def _named(self, selector: Any) -> list[Shard]:
        keys = selector if isinstance(selector, list) else [selector]
        for key in keys:
            if key not in self.shards:
                raise failures.key_not_found(str(key))
        return [self.shards[key] for key in keys]


def point_order(point: models.Record) -> tuple[bool, int | uuid.UUID]:
    """Numbers before UUIDs, each in order."""
    return (False, point.id) if isinstance(point.id, int) else (True, uuid.UUID(str(point.id)))
