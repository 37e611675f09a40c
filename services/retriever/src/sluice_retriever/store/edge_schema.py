"""A knowledge base's spec as Qdrant Edge's configuration."""

import qdrant_edge as edge

from sluice_api.objects.knowledge_base import KnowledgeBaseSpec, Quantization
from sluice_retriever.domain.model import DENSE_DIMENSION, TOKEN_DIMENSION

DENSE = "dense"
SPARSE = "bm25"
TOKENS = "tokens"

#: Chunks up to which a scan beats a graph (measured: 2-bit codes of 50,000 vectors scan in under 3 ms).
_SCAN_LIMIT = 100_000_000


def edge_config(spec: KnowledgeBaseSpec, threads: int) -> edge.EdgeConfig:
    """The shard's configuration. No graph is built: optimising would hold the worker for minutes."""
    return edge.EdgeConfig(
        vectors={
            DENSE: edge.EdgeVectorParams(
                DENSE_DIMENSION,
                edge.Distance.Cosine,
                quantization_config=_quantization(spec.dense.quantization),
                hnsw_config=_no_graph(),
            ),
            # Bytes with Euclid: Σ max −‖q−d‖² orders as Σ max cos does for unit vectors, and is the fastest.
            TOKENS: edge.EdgeVectorParams(
                TOKEN_DIMENSION,
                edge.Distance.Euclid,
                datatype=edge.VectorStorageDatatype.Uint8,
                multivector_config=edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim),
                hnsw_config=_no_graph(),
            ),
        },
        sparse_vectors={SPARSE: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        hnsw_config=_no_graph(),
        max_search_threads=threads,
    )


def _no_graph() -> edge.HnswIndexConfig:
    # payload_m too: with m=0 alone, payload graphs over token vectors are still built.
    return edge.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=_SCAN_LIMIT, payload_m=0)


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
