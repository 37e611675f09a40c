"""A generation's shape as Qdrant Edge's configuration."""

import qdrant_edge as edge

from sluice_api.objects.knowledge_base import Graph, Quantization
from sluice_api.objects.retrieval import TokenMatch
from sluice_retriever.store.schema import TOKEN_DIMENSIONS, TOKEN_VECTORS, Manifest, Vector

#: Points below which a graph is not asked, where there is one.
_FULL_SCAN_KB = 20_000

#: Chunks up to which a scan beats a graph (measured: 2-bit codes of 50,000 vectors scan in under 3 ms).
_NO_GRAPH = edge.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=100_000_000, payload_m=0)
# payload_m too: with m=0 alone, payload graphs over token vectors are still built.


def edge_config(manifest: Manifest, threads: int) -> edge.EdgeConfig:
    """The shard's configuration. A graph is built only by `optimize`, which holds its process for minutes."""
    dense = manifest.shape.dense
    graph = edge.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=_FULL_SCAN_KB, payload_m=16)
    return edge.EdgeConfig(
        vectors={
            Vector.DENSE: edge.EdgeVectorParams(
                manifest.dense_dimension,
                edge.Distance.Cosine,
                quantization_config=_quantization(dense.quantization),
                hnsw_config=graph if dense.graph is Graph.ON else _NO_GRAPH,
            ),
            **{TOKEN_VECTORS[match]: _tokens(match) for match in manifest.shape.tokens.match},
        },
        sparse_vectors={Vector.SPARSE: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        hnsw_config=_NO_GRAPH,
        max_search_threads=threads,
    )


def _tokens(match: TokenMatch) -> edge.EdgeVectorParams:
    # Bytes with Euclid: Σ max −‖q−d‖² orders as Σ max cos does for unit vectors, and is the fastest.
    return edge.EdgeVectorParams(
        TOKEN_DIMENSIONS[match],
        edge.Distance.Euclid,
        datatype=edge.VectorStorageDatatype.Uint8,
        multivector_config=edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim),
        hnsw_config=_NO_GRAPH,
    )


def _quantization(preset: Quantization) -> "edge.QuantizationConfigType | None":
    eight_bits = edge.BinaryQuantizationQueryEncoding.Scalar8Bits
    match preset:
        case Quantization.BINARY_32X:
            return edge.BinaryQuantizationConfig(
                encoding=edge.BinaryQuantizationEncoding.OneBit, query_encoding=eight_bits
            )
        case Quantization.BINARY_16X:
            return edge.BinaryQuantizationConfig(
                encoding=edge.BinaryQuantizationEncoding.TwoBits, query_encoding=eight_bits
            )
        case Quantization.TURBO:
            return edge.TurboQuantQuantizationConfig(bits=edge.TurboQuantBitSize.Bits2)
        case Quantization.SCALAR:
            return edge.ScalarQuantizationConfig(edge.ScalarType.Int8)
        case Quantization.NONE:
            return None
