"""What the double holds, and what can be asked of it, in `qdrant_client.models`' words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from qdrant_client import models
from qdrant_client.local.payload_value_extractor import value_by_key

from support.qdrant_server import failures
from support.qdrant_server.shards import NAME, Routing, Selector, Shard, point_order

PEER = 1572297191702624


@dataclass
class Collection:
    name: str
    config: models.CreateCollection
    shards: dict[str | None, Shard] = field(default_factory=dict)
    indexes: dict[str, Any] = field(default_factory=dict)

    @property
    def routing(self) -> Routing:
        return Routing(self.shards, PEER)

    @property
    def custom(self) -> bool:
        return self.config.sharding_method is models.ShardingMethod.CUSTOM

    def add_shard(self, key: str | None, state: models.ReplicaState) -> None:
        self.shards[key] = Shard(key, len(self.shards) + 1, self.config, state)

    def points_count(self) -> int:
        return sum(shard.client.count(NAME).count for shard in self.shards.values())


@dataclass
class State:
    """All collections.

    Args:
        version: What the server says it is, which decides what it knows.
        cluster: Whether it runs as a cluster.
    """

    version: str = "1.18.3"
    cluster: bool = True
    collections: dict[str, Collection] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    operations: int = 0
    max_query_limit: int | None = None
    """Strict mode's, of all collections."""

    @property
    def tenant_idf(self) -> bool:
        return tuple(int(part) for part in self.version.split(".")[:2]) >= (1, 19)

    def collection(self, name: str) -> Collection:
        found = self.collections.get(self.aliases.get(name, name))
        if found is None:
            raise failures.no_collection(name)
        return found

    # --- collections

    def create(self, name: str, config: models.CreateCollection) -> bool:
        if name in self.collections:
            raise failures.collection_exists(name)
        collection = Collection(name, config)
        if collection.custom and not self.cluster:
            raise failures.standalone()
        if not collection.custom:
            collection.add_shard(None, models.ReplicaState.ACTIVE)
        self.collections[name] = collection
        return True

    def drop(self, name: str) -> bool:
        if name not in self.collections:
            return False
        for shard in self.collections.pop(name).shards.values():
            shard.client.close()
        self.aliases = {alias: aim for alias, aim in self.aliases.items() if aim != name}
        return True

    def info(self, name: str) -> models.CollectionInfo:
        collection = self.collection(name)
        config = collection.config
        return models.CollectionInfo(
            status=models.CollectionStatus.GREEN,
            optimizer_status=models.OptimizersStatusOneOf.OK,
            indexed_vectors_count=0,
            points_count=collection.points_count(),
            segments_count=2,
            payload_schema={name: _index_info(params) for name, params in collection.indexes.items()},
            config=models.CollectionConfig(
                params=models.CollectionParams(
                    vectors=config.vectors,
                    sparse_vectors=config.sparse_vectors,
                    shard_number=config.shard_number or 1,
                    replication_factor=config.replication_factor or 1,
                    write_consistency_factor=1,
                    on_disk_payload=config.on_disk_payload is not False,
                    sharding_method=config.sharding_method,
                ),
                hnsw_config=models.HnswConfig(
                    m=16, ef_construct=100, full_scan_threshold=10000, max_indexing_threads=0, on_disk=False
                ),
                optimizer_config=models.OptimizersConfig(
                    deleted_threshold=0.2,
                    vacuum_min_vector_number=1000,
                    default_segment_number=0,
                    indexing_threshold=10000,
                    flush_interval_sec=5,
                ),
                wal_config=models.WalConfig(wal_capacity_mb=32, wal_segments_ahead=0, wal_retain_closed=1),
                quantization_config=config.quantization_config,
                metadata=config.metadata,
                strict_mode_config=None,
            ),
            update_queue=models.UpdateQueueInfo(length=0),
        )

    def index(self, name: str, field_name: str, params: Any) -> models.UpdateResult:
        self.collection(name).indexes[field_name] = params
        return self._updated()

    def change_aliases(self, operations: Sequence[Any]) -> bool:
        """All or none, as consensus has it."""
        aliases = dict(self.aliases)
        for operation in operations:
            if isinstance(operation, models.CreateAliasOperation):
                create = operation.create_alias
                if create.collection_name not in self.collections:
                    raise failures.no_collection(create.collection_name)
                aliases[create.alias_name] = create.collection_name
            elif isinstance(operation, models.DeleteAliasOperation):
                aliases.pop(operation.delete_alias.alias_name, None)
        self.aliases = aliases
        return True

    # --- shard keys

    def create_key(self, name: str, key: str, state: models.ReplicaState | None = None) -> bool:
        collection = self.collection(name)
        if not self.cluster:
            raise failures.standalone()
        if key in collection.shards:
            raise failures.key_exists(key, name)
        collection.add_shard(key, state or models.ReplicaState.ACTIVE)
        return True

    def drop_key(self, name: str, key: str) -> bool:
        collection = self.collection(name)
        if key not in collection.shards:
            raise failures.no_key(key, name)
        collection.shards.pop(key).client.close()
        return True

    def keys(self, name: str) -> list[str]:
        return [str(key) for key in self.collection(name).shards if key is not None]

    # --- writes

    def upsert(
        self,
        name: str,
        points: Sequence[models.PointStruct],
        selector: Selector,
        update_filter: models.Filter | None = None,
        update_mode: models.UpdateMode | None = None,
    ) -> models.UpdateResult:
        for shard in self.collection(name).routing.writing(selector, points=True):
            shard.upsert(points, update_filter, update_mode)
        return self._updated()

    def delete(self, name: str, points: Any, selector: Selector) -> models.UpdateResult:
        for shard in self.collection(name).routing.writing(selector, points=False):
            shard.client.delete(NAME, points)
        return self._updated()

    def set_payload(
        self, name: str, payload: dict[str, Any], points: Any, selector: Selector, key: str | None = None
    ) -> models.UpdateResult:
        for shard in self.collection(name).routing.writing(selector, points=False):
            shard.client.set_payload(NAME, payload, points, key=key)
        return self._updated()

    def delete_payload(
        self, name: str, keys: Sequence[str], points: Any, selector: Selector
    ) -> models.UpdateResult:
        for shard in self.collection(name).routing.writing(selector, points=False):
            shard.client.delete_payload(NAME, list(keys), points)
        return self._updated()

    # --- reads

    def query(self, name: str, request: models.QueryRequest) -> list[models.ScoredPoint]:
        if self.max_query_limit is not None and (request.limit or 10) > self.max_query_limit:
            raise failures.limit_exceeded(request.limit or 10, self.max_query_limit, "limit")
        shards = self.collection(name).routing.reading(request.shard_key)
        found = [point for shard in shards for point in shard.query(request, tenant_idf=self.tenant_idf)]
        if len(shards) > 1:
            best_first = not shards[0].is_distance(request.using)
            found.sort(key=lambda point: point.score, reverse=best_first)
        return found[: request.limit or 10]

    def retrieve(
        self, name: str, ids: Sequence[Any], payload: Any, vectors: Any, selector: Selector
    ) -> list[models.Record]:
        return [
            point.model_copy(update={"shard_key": shard.key})
            for shard in self.collection(name).routing.reading(selector)
            for point in shard.client.retrieve(NAME, list(ids), with_payload=payload, with_vectors=vectors)
        ]

    def scroll(
        self,
        name: str,
        filter_: models.Filter | None,
        limit: int,
        offset: Any,
        payload: Any,
        vectors: Any,
        selector: Selector,
    ) -> tuple[list[models.Record], Any]:
        found = [
            point.model_copy(update={"shard_key": shard.key})
            for shard in self.collection(name).routing.reading(selector)
            for point in shard.client.scroll(
                NAME, filter_, limit=limit + 1, offset=offset, with_payload=payload, with_vectors=vectors
            )[0]
        ]
        found.sort(key=point_order)
        return found[:limit], found[limit].id if len(found) > limit else None

    def count(self, name: str, filter_: models.Filter | None, selector: Selector) -> int:
        shards = self.collection(name).routing.reading(selector)
        return sum(shard.client.count(NAME, filter_).count for shard in shards)

    def facet(
        self, name: str, key: str, filter_: models.Filter | None, limit: int, selector: Selector
    ) -> list[models.FacetValueHit]:
        if key not in self.collection(name).indexes:
            raise failures.no_index(key)
        counted: Counter[Any] = Counter()
        for shard in self.collection(name).routing.reading(selector):
            # Not by local mode, which writes values anew that look like UUIDs.
            for point in shard.client.scroll(NAME, filter_, limit=1_000_000)[0]:
                counted.update(set(value_by_key(point.payload or {}, key) or ()))
        best = sorted(counted.items(), key=lambda item: (-item[1], str(item[0])))
        return [models.FacetValueHit(value=value, count=count) for value, count in best[:limit]]

    def _updated(self) -> models.UpdateResult:
        self.operations += 1
        return models.UpdateResult(operation_id=self.operations, status=models.UpdateStatus.COMPLETED)


def _index_info(params: Any) -> models.PayloadIndexInfo:
    if isinstance(params, models.PayloadSchemaType):
        return models.PayloadIndexInfo(data_type=params, points=0)
    kind = models.PayloadSchemaType(params.type.value)
    return models.PayloadIndexInfo(data_type=kind, params=params, points=0)
