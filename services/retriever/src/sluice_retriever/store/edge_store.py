"""One knowledge base in one Qdrant Edge shard. Runs in the worker process: the bindings hold the GIL."""

import base64
import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import qdrant_edge as edge

from sluice_api.objects.knowledge_base import KnowledgeBaseSpec
from sluice_retriever.domain.fusion import Ranking, fuse
from sluice_retriever.domain.metadata import boolean_fields
from sluice_retriever.domain.model import Leg, LegScore, Passage, SentenceScore, Span
from sluice_retriever.store import coding, edge_schema
from sluice_retriever.store import edge_filters as filters
from sluice_retriever.store.edge_directory import open_shard
from sluice_retriever.store.messages import Lookup, Part, Piece, Stored, WriteLost
from sluice_retriever.store.register import Register

#: BM25's average length in words that count; a chunk has some 200 model tokens.
_AVERAGE_WORDS = 90.0


class EdgeStore:
    """Puts documents in force whole or not at all, and answers the staged query."""

    def __init__(self, directory: Path, spec: KnowledgeBaseSpec, threads: int) -> None:
        self._shard = open_shard(directory, edge_schema.edge_config(spec, threads))
        self._bm25 = edge.Bm25(edge.Bm25Config(avg_len=_AVERAGE_WORDS))
        self._register = Register(directory / "register.sqlite")
        self.abandon(self._register.unfinished())

    def stored(self, tenant: str, document_id: str) -> Stored | None:
        """What is stored of a document, if anything."""
        return self._register.stored(tenant, document_id)

    def write(self, parts: Sequence[Part]) -> None:
        """Writes parts of documents; those that end here are in force and durable once it returns.

        Until then the write before stays in force, also over the death of this process.

        Raises:
            WriteLost: a part goes on with a write that this store does not know.
        """
        for part in parts:
            if not part.first and not self._register.is_pending(part.write_id):
                raise WriteLost(part.document_id)
        self._register.begin(part for part in parts if part.first)
        points = [self._point(part, piece) for part in parts for piece in part.pieces]
        if points:
            self._shard.update(edge.UpdateOperation.upsert_points(points))
        ended = [part for part in parts if part.total is not None]
        if ended:
            self._shard.flush()
            self._register.commit(ended)
            self._remove_stale()

    def abandon(self, write_ids: Sequence[str]) -> None:
        """Removes what was written of writes that will not go on."""
        if write_ids:
            self._register.abandon(write_ids)
        self._remove_stale()

    def delete(self, tenant: str, document_ids: Sequence[str]) -> int:
        """Removes documents; gives how many there were."""
        deleted = self._register.retire(tenant, document_ids)
        self._remove_stale()
        return deleted

    def list_documents(self, tenant: str, prefix: str, after: str, limit: int) -> list[tuple[str, int]]:
        """Ids and chunks of a tenant's documents, by id."""
        return self._register.documents(tenant, prefix, after, limit)

    def usage(self, tenant: str) -> tuple[int, int]:
        """Documents and chunks of a tenant."""
        return self._register.usage(tenant)

    def search(self, lookup: Lookup) -> list[Passage]:
        """The staged query: dense and sparse legs, token MaxSim over their union, fusion of all three."""
        readable = filters.readable(lookup.reader, self._register.unfinished(), lookup.filter)
        dense, sparse = self._shard.query_batch(
            edge.QueryBatchRequest([self._dense(lookup, readable), self._sparse(lookup, readable)])
        )
        legs: dict[Leg, Ranking] = {Leg.DENSE: _ranking(dense), Leg.SPARSE: _ranking(sparse)}
        candidates = {point for ranking in legs.values() for point, _ in ranking}
        if candidates and len(lookup.vectors.tokens):
            legs[Leg.TOKENS] = self._token_leg(lookup, candidates)
        best = fuse(legs, lookup.parameters.weights, lookup.parameters.k, lookup.top_k)
        records = self._shard.retrieve([point for point, _, _ in best], True, False)  # noqa: FBT003
        payloads = {str(record.id): record.payload or {} for record in records}
        return [_passage(payloads[point], score, placed, lookup) for point, score, placed in best]

    def close(self) -> None:
        """Flushes and releases the directory."""
        self._shard.flush()
        self._shard.close()
        self._register.close()

    def _remove_stale(self) -> None:
        if stale := self._register.stale():
            self._shard.update(edge.UpdateOperation.delete_points_by_filter(filters.of_writes(stale)))
            # The register forgets for good; the deletion has to be on disk by then.
            self._shard.flush()
            self._register.forget(stale)

    def _point(self, part: Part, piece: Piece) -> edge.Point:
        metadata = json.loads(part.metadata_json)
        payload: dict[str, Any] = {
            filters.TENANT: part.tenant,
            filters.DOCUMENT: part.document_id,
            filters.WRITE: part.write_id,
            filters.METADATA: metadata,
            filters.TRUE_FIELDS: boolean_fields(metadata, True),  # noqa: FBT003
            filters.FALSE_FIELDS: boolean_fields(metadata, False),  # noqa: FBT003
            "chunk": piece.chunk_id,
            "title": piece.title,
            "text": piece.chunk.text,
            "sentences": [[span.start, span.end] for span in piece.chunk.sentences],
            "sentence_vectors": base64.b64encode(piece.sentences.tobytes()).decode(),
        }
        if part.acl:
            payload[filters.ACL] = list(part.acl)
        return edge.Point(
            # Of this write only: an unchanged chunk must survive a replacement that fails.
            id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{part.write_id}/{piece.chunk_id}")),
            vector={
                edge_schema.DENSE: piece.dense.tolist(),
                edge_schema.TOKENS: piece.tokens.astype(float).tolist(),
                edge_schema.SPARSE: self._bm25.embed_document(f"{piece.title}\n{piece.chunk.text}"),
            },
            payload=payload,
        )

    def _dense(self, lookup: Lookup, readable: edge.Filter) -> edge.QueryRequest:
        quantization = edge.QuantizationSearchParams(
            rescore=True, oversampling=lookup.parameters.oversampling
        )
        return edge.QueryRequest(
            lookup.parameters.leg_limit,
            query=edge.Query.Nearest(lookup.vectors.dense.tolist(), using=edge_schema.DENSE),
            filter=readable,
            params=edge.SearchParams(quantization=quantization),
        )

    def _sparse(self, lookup: Lookup, readable: edge.Filter) -> edge.QueryRequest:
        # IDF within the tenant: one tenant's documents must not shift another's ranking.
        return edge.QueryRequest(
            lookup.parameters.leg_limit,
            query=edge.Query.Nearest(self._bm25.embed_query(lookup.query), using=edge_schema.SPARSE),
            filter=readable,
            params=edge.SearchParams(idf=edge.IdfParams(corpus=filters.of_tenant(lookup.reader.tenant))),
        )

    def _token_leg(self, lookup: Lookup, candidates: set[str]) -> Ranking:
        tokens = lookup.vectors.tokens
        request = edge.QueryRequest(
            lookup.parameters.leg_limit,
            query=edge.Query.Nearest(
                coding.encode_tokens(tokens).astype(float).tolist(), using=edge_schema.TOKENS
            ),
            filter=edge.Filter(must=[edge.HasIdCondition(set(candidates))]),
            params=edge.SearchParams(exact=True),
        )
        return [
            (point, coding.mean_cosine(distance, len(tokens)))
            for point, distance in _ranking(self._shard.query(request))
        ]


def _ranking(points: list[edge.ScoredPoint]) -> Ranking:
    return [(str(point.id), point.score) for point in points]


def _passage(payload: dict[str, Any], score: float, legs: tuple[LegScore, ...], lookup: Lookup) -> Passage:
    coded = base64.b64decode(payload["sentence_vectors"])
    similarities = coding.sentence_similarities(coded, lookup.vectors.dense)
    return Passage(
        document_id=payload[filters.DOCUMENT],
        chunk_id=payload["chunk"],
        title=payload["title"],
        text=payload["text"],
        metadata_json=json.dumps(payload[filters.METADATA], ensure_ascii=False),
        score=score,
        legs=legs,
        sentences=tuple(
            SentenceScore(Span(start, end), similarity)
            for (start, end), similarity in zip(payload["sentences"], similarities, strict=True)
        ),
    )
