"""Makes collections as knowledge bases need them, and tells where one that is there differs."""

from collections.abc import Sequence

from qdrant_client import models

from sluice_api.objects.knowledge_base import MetadataField
from sluice_retriever.store.schema import Manifest
from sluice_retriever.store.server import schema
from sluice_retriever.store.server.backend import ServerBackend
from sluice_retriever.store.server.capabilities import refuse_unsupported
from sluice_retriever.store.server.connection import seconds_left
from sluice_servicekit.errors import Conflict, FailedPrecondition, ServiceError

#: The manifest's key in a collection's metadata, which others may use too.
MANIFEST = "sluice"


async def ensure(
    backend: ServerBackend, manifest: Manifest, fields: Sequence[MetadataField]
) -> tuple[str, ...]:
    """Makes what is missing of a generation's collection: itself, its fallback shard, its indexes. May be called at any
    time, by several replicas at once.

    Args:
        backend: Names the collection.
        manifest: What it is to be like; kept with the collection if this call makes it.
        fields: Metadata fields that filters may name, indexed too.

    Returns:
        Where it is not as wanted and serves all the same, one clause each. It is left so: only a rebuild changes it.

    Raises:
        FailedPrecondition: it is there and cannot serve, or the server lacks what the generation asks for.
    """
    connection, name = backend.connection, backend.collection
    refuse_unsupported(manifest.shape.dense.quantization, connection.capabilities)
    vectors = schema.vectors(manifest)
    await _create(backend, vectors, manifest)
    info = await connection.run(connection.client.get_collection(name))
    sharded = connection.capabilities.cluster
    if wrong := list(schema.differences(vectors, info.config.params, sharded=sharded)):
        raise FailedPrecondition(
            f"collection {name!r} cannot serve this knowledge base: {'; '.join(wrong)}",
            reason="QDRANT_COLLECTION_DIFFERS",
        )
    if sharded:
        await _ensure_fallback(backend)
    # Before data: graphs along a field are only built where its index is there first.
    for field, params in schema.indexes(fields).items():
        if field not in info.payload_schema:
            await connection.run(connection.client.create_payload_index(name, field, params, wait=True))
    return tuple(schema.drift(vectors, info.config.params))


async def _create(
    backend: ServerBackend, vectors: dict[str, models.VectorParams], manifest: Manifest
) -> None:
    connection, name = backend.connection, backend.collection
    if await connection.run(connection.client.collection_exists(name)):
        return
    sharded = connection.capabilities.cluster
    try:
        await connection.run(
            connection.client.create_collection(
                name,
                vectors_config=vectors,
                sparse_vectors_config=schema.sparse_vectors(),
                sharding_method=models.ShardingMethod.CUSTOM if sharded else None,
                shard_number=1,
                replication_factor=connection.spec.shard_replicas if sharded else None,
                on_disk_payload=True,
                metadata={MANIFEST: manifest.model_dump(mode="json", by_alias=True)},
                timeout=seconds_left(),
            )
        )
    except Conflict:
        return  # another replica was first


async def _ensure_fallback(backend: ServerBackend) -> None:
    connection, name, key = backend.connection, backend.collection, backend.connection.spec.fallback_shard
    if await _has_shard(backend, key):
        return
    try:
        await connection.run(
            connection.client.create_shard_key(
                name,
                key,
                # One: no other shard can be the source of a tenant's own.
                shards_number=1,
                replication_factor=connection.spec.shard_replicas,
                timeout=seconds_left(),
            )
        )
    except ServiceError:
        # Another replica was first, or it was made after the answer was given up.
        if not await _has_shard(backend, key):
            raise


async def _has_shard(backend: ServerBackend, key: str) -> bool:
    listed = await backend.connection.run(backend.connection.client.list_shard_keys(backend.collection))
    return any(described.key == key for described in listed.shard_keys or ())
