"""A generation's shape as a Qdrant collection, and where one differs from it."""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel
from qdrant_client import models

from sluice_api.objects.knowledge_base import Graph, MetadataField, Quantization
from sluice_api.objects.retrieval import TokenMatch
from sluice_retriever.store.conditions import field_indexes
from sluice_retriever.store.schema import INDEXED, TOKEN_DIMENSIONS, TOKEN_VECTORS, Manifest, Payload, Vector

#: Payload fields that only a server's points have.
PENDING = "pending"
"""Epoch seconds at which a chunk was written of a write that has not ended; absent once it has."""
RECORD = "record"
"""True on points that the ledger keeps, which have no vectors."""

IndexSchema = models.PayloadSchemaParams | models.PayloadSchemaType


def vectors(manifest: Manifest) -> dict[str, models.VectorParams]:
    """The dense vectors, originals on disk and codes in memory, and the tokens'."""
    dense = manifest.shape.dense
    return {
        Vector.DENSE: models.VectorParams(
            size=manifest.dense_dimension,
            distance=models.Distance.COSINE,
            on_disk=True,
            hnsw_config=_graph(dense.graph),
            quantization_config=_quantization(dense.quantization),
        ),
        **{TOKEN_VECTORS[match]: _tokens(match) for match in manifest.shape.tokens.match},
    }


def _tokens(match: TokenMatch) -> models.VectorParams:
    # Bytes with Euclid, as in the embedded engine: both hold the same codes. No graph: m=0 alone would still build
    # those of payload values.
    return models.VectorParams(
        size=TOKEN_DIMENSIONS[match],
        distance=models.Distance.EUCLID,
        datatype=models.Datatype.UINT8,
        on_disk=True,
        multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
        hnsw_config=models.HnswConfigDiff(m=0, payload_m=0),
    )


def sparse_vectors() -> dict[str, models.SparseVectorParams]:
    """BM25's weights, which the engine multiplies with IDF."""
    return {Vector.SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)}


def indexes(fields: Sequence[MetadataField]) -> dict[str, IndexSchema]:
    """Payload indexes by field. Graphs grow only along what searches are filtered by."""
    own: dict[str, IndexSchema] = {
        Payload.TENANT: models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
        **{field: _keyword(graph=field is Payload.ACL) for field in INDEXED},
        Payload.TRUE_FIELDS: _keyword(),
        Payload.FALSE_FIELDS: _keyword(),
        Payload.EXPIRES: _number(),
        PENDING: _number(),
        RECORD: models.BoolIndexParams(type=models.BoolIndexType.BOOL, enable_hnsw=False),
    }
    return {**field_indexes(fields), **{str(field): params for field, params in own.items()}}


def differences(
    wanted: dict[str, models.VectorParams], found: models.CollectionParams, *, sharded: bool
) -> Iterator[str]:
    """Where a collection cannot serve, one clause each: these never change for a collection that is there."""
    there = found.vectors if isinstance(found.vectors, dict) else {}
    for name, params in wanted.items():
        other = there.get(name)
        if other is None:
            yield f"vector {name} is missing"
            continue
        for what in ("size", "distance", "datatype", "multivector_config"):
            ours, theirs = getattr(params, what), getattr(other, what)
            if ours != theirs and not (
                what == "datatype" and {ours, theirs} <= {None, models.Datatype.FLOAT32}
            ):
                yield f"{name}.{what} is {_show(theirs)}, not {_show(ours)}"
    sparse = (found.sparse_vectors or {}).get(Vector.SPARSE)
    if sparse is None or sparse.modifier is not models.Modifier.IDF:
        yield f"sparse vector {Vector.SPARSE} with modifier idf is missing"
    if sharded != (found.sharding_method is models.ShardingMethod.CUSTOM):
        yield f"its sharding method is {'automatic' if sharded else 'custom'}"


def drift(wanted: dict[str, models.VectorParams], found: models.CollectionParams) -> Iterator[str]:
    """Where a collection serves, but is not as the spec now says."""
    there = found.vectors if isinstance(found.vectors, dict) else {}
    for name, params in wanted.items():
        other = there.get(name)
        for what in ("quantization_config", "hnsw_config"):
            ours, theirs = _essence(getattr(params, what)), _essence(getattr(other, what, None))
            if ours != theirs:
                yield f"{name}.{what} is {theirs}, not {ours}"


def _graph(graph: Graph) -> models.HnswConfigDiff:
    # Every query names a tenant: without the global graph, only each tenant's own is built, which is faster.
    return models.HnswConfigDiff(m=0, payload_m=0 if graph is Graph.OFF else 16)


def _quantization(preset: Quantization) -> models.QuantizationConfig | None:
    eight_bits = models.BinaryQuantizationQueryEncoding.SCALAR8BITS
    match preset:
        case Quantization.BINARY_32X:
            encoding = models.BinaryQuantizationEncoding.ONE_BIT
        case Quantization.BINARY_16X:
            encoding = models.BinaryQuantizationEncoding.TWO_BITS
        case Quantization.TURBO:
            bits = models.TurboQuantBitSize.BITS2
            turbo = models.TurboQuantQuantizationConfig(bits=bits, always_ram=True)
            return models.TurboQuantization(turbo=turbo)
        case Quantization.SCALAR:
            scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
            return models.ScalarQuantization(scalar=scalar)
        case Quantization.NONE:
            return None
    binary = models.BinaryQuantizationConfig(always_ram=True, encoding=encoding, query_encoding=eight_bits)
    return models.BinaryQuantization(binary=binary)


def _keyword(*, graph: bool = False) -> IndexSchema:
    return models.KeywordIndexParams(
        type=models.KeywordIndexType.KEYWORD, enable_hnsw=None if graph else False
    )


def _number() -> IndexSchema:
    return models.FloatIndexParams(type=models.FloatIndexType.FLOAT, enable_hnsw=False)


def _essence(config: BaseModel | None) -> dict[str, object] | None:
    # Where codes lie in memory is left out: servers say it in newer words than they were told it.
    if config is None:
        return None
    placement = {"always_ram": True, "memory": True, "on_disk": True}
    kinds = ("binary", "scalar", "turbo")
    exclude: dict[str, Any] = {**placement, **dict.fromkeys(kinds, placement)}
    dumped: dict[str, object] = config.model_dump(mode="json", exclude_none=True, exclude=exclude)
    return dumped


def _show(value: object) -> str:
    if isinstance(value, BaseModel):
        return str(value.model_dump(mode="json", exclude_none=True))
    return str(getattr(value, "value", value)).lower()
