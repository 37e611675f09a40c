"""`qdrant_client.models`' points and queries as Qdrant Edge's, and what it answers back."""

from typing import Any, cast

import qdrant_edge as edge
from qdrant_client import models

from sluice_retriever.store.edge.filters import edge_filter


def point(given: models.PointStruct) -> edge.Point:
    """A point to write."""
    vectors = cast("dict[str, Any]", given.vector)
    named = {name: _vector(vector) for name, vector in vectors.items()}
    return edge.Point(id=cast("str", given.id), vector=named, payload=given.payload or {})


def request(given: models.QueryRequest) -> edge.QueryRequest:
    """A query."""
    return edge.QueryRequest(
        given.limit or 10,
        offset=given.offset,
        query=_query(given.query, given.using),
        prefetches=_prefetches(given.prefetch),
        with_vector=cast("Any", given.with_vector),
        with_payload=cast("Any", given.with_payload),
        filter=None if given.filter is None else edge_filter(given.filter),
        score_threshold=given.score_threshold,
        params=_parameters(given.params),
    )


def record(found: edge.Record) -> models.Record:
    """A stored point."""
    return models.Record.model_construct(id=str(found.id), payload=found.payload, vector=_named(found.vector))


def _vector(given: Any) -> Any:
    return edge.SparseVector(given.indices, given.values) if isinstance(given, models.SparseVector) else given


def _named(found: Any) -> Any:
    if not isinstance(found, dict):
        return found
    return {
        name: models.SparseVector(indices=vector.indices, values=vector.values)
        if isinstance(vector, edge.SparseVector)
        else vector
        for name, vector in found.items()
    }


def _query(given: Any, using: str | None) -> Any:
    match given:
        case None:
            return None
        case models.FusionQuery(fusion=models.Fusion.RRF):
            return edge.Fusion.Rrf(2)
        case models.FusionQuery():
            return edge.Fusion.Dbsf()
        case models.RrfQuery(rrf=rrf):
            return edge.Fusion.Rrf(rrf.k or 2, rrf.weights)
        case models.NearestQuery(nearest=nearest, mmr=None):
            return edge.Query.Nearest(_vector(nearest), using=using)
        case list() | models.SparseVector():
            return edge.Query.Nearest(_vector(given), using=using)
    raise ValueError(f"the embedded engine is not asked {type(given).__name__}")


def _prefetches(given: models.Prefetch | list[models.Prefetch] | None) -> list[edge.Prefetch] | None:
    if given is None:
        return None
    return [
        edge.Prefetch(
            each.limit or 10,
            query=_query(each.query, each.using),
            prefetches=_prefetches(each.prefetch),
            params=_parameters(each.params),
            filter=None if each.filter is None else edge_filter(each.filter),
            score_threshold=each.score_threshold,
        )
        for each in (given if isinstance(given, list) else [given])
    ]


def _parameters(given: models.SearchParams | None) -> edge.SearchParams | None:
    if given is None:
        return None
    quantization, acorn, idf = given.quantization, given.acorn, given.idf
    return edge.SearchParams(
        hnsw_ef=given.hnsw_ef,
        exact=bool(given.exact),
        quantization=None
        if quantization is None
        else edge.QuantizationSearchParams(
            ignore=bool(quantization.ignore),
            rescore=quantization.rescore,
            oversampling=quantization.oversampling,
        ),
        acorn=None
        if acorn is None
        else edge.AcornSearchParams(enable=bool(acorn.enable), max_selectivity=acorn.max_selectivity),
        idf=edge.IdfParams(corpus=edge_filter(idf.corpus))
        if isinstance(idf, models.IdfCorpusParams)
        else None,
    )
