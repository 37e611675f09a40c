"""Chunks as points and back."""

import base64
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from qdrant_client import models

from sluice_retriever.domain import documents, expansion
from sluice_retriever.domain.metadata import boolean_fields
from sluice_retriever.domain.model import (
    DENSE_DIMENSION,
    Chunk,
    Floats,
    LegScore,
    Passage,
    SentenceScore,
    Span,
)
from sluice_retriever.store import coding
from sluice_retriever.store.messages import Coded, Part, Piece, Stocked
from sluice_retriever.store.schema import TOKEN_VECTORS, Payload, Vector


def point_id(write_id: str, chunk_id: str) -> str:
    """A chunk's point. Of this write only: an unchanged chunk must survive a replacement that fails."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{write_id}/{chunk_id}"))


def point(
    part: Part, ordinal: int, piece: Piece, sparse: models.SparseVector, mark: Mapping[str, object]
) -> models.PointStruct:
    """A chunk to store.

    Args:
        part: What it belongs to.
        ordinal: Its place in its document, from zero.
        piece: The chunk.
        sparse: Its BM25 weights.
        mark: More for the payload.
    """
    metadata = json.loads(part.metadata_json)
    payload: dict[str, Any] = {
        Payload.TENANT: part.tenant,
        Payload.DOCUMENT: part.document_id,
        Payload.WRITE: part.write_id,
        Payload.METADATA: metadata,
        Payload.TRUE_FIELDS: boolean_fields(metadata, True),  # noqa: FBT003
        Payload.FALSE_FIELDS: boolean_fields(metadata, False),  # noqa: FBT003
        Payload.CHUNK: piece.chunk_id,
        Payload.ORDINAL: ordinal,
        Payload.TITLE: piece.title,
        Payload.SECTION: list(piece.chunk.section),
        Payload.TEXT: piece.chunk.text,
        Payload.WORDING: documents.wording(piece.title, piece.chunk.text),
        Payload.SENTENCES: [[span.start, span.end] for span in piece.chunk.sentences],
        Payload.SENTENCE_VECTORS: base64.b64encode(piece.coded.sentences.tobytes()).decode(),
        **mark,
    }
    if part.acl:
        payload[Payload.ACL] = list(part.acl)
    if part.expires is not None:
        payload[Payload.EXPIRES] = part.expires
    # Not validated: a quarter of a million floats a chunk, made here.
    return models.PointStruct.model_construct(
        id=point_id(part.write_id, piece.chunk_id),
        vector={
            Vector.DENSE: piece.coded.dense.tolist(),
            **{
                TOKEN_VECTORS[match]: rows.astype(float).tolist()
                for match, rows in piece.coded.tokens.items()
            },
            Vector.SPARSE: sparse,
        },
        payload={str(name): value for name, value in payload.items()},
    )


def piece(record: models.Record) -> tuple[int, Piece]:
    """A stored chunk with its vectors, and its ordinal."""
    payload, vectors = record.payload or {}, record.vector
    if not isinstance(vectors, dict):
        raise TypeError("the record was read without its vectors")
    sentences = base64.b64decode(payload[Payload.SENTENCE_VECTORS])
    return payload[Payload.ORDINAL], Piece(
        chunk=Chunk(
            payload[Payload.TEXT],
            tuple(payload[Payload.SECTION]),
            tuple(Span(start, end) for start, end in payload[Payload.SENTENCES]),
        ),
        chunk_id=payload[Payload.CHUNK],
        title=payload[Payload.TITLE],
        coded=Coded(
            dense=np.array(vectors[Vector.DENSE], np.float32),
            tokens={
                match: np.array(vectors[vector], np.uint8)
                for match, vector in TOKEN_VECTORS.items()
                if vector in vectors
            },
            sentences=np.frombuffer(sentences, np.int8).reshape(-1, DENSE_DIMENSION),
        ),
    )


def part(row: Stocked, start: int, records: Sequence[models.Record]) -> Part:
    """A run of a document's chunks again, from its points in any order."""
    pieces = dict(piece(record) for record in records)
    payload = records[0].payload or {}
    end = start + len(pieces)
    return Part(
        write_id=row.write_id,
        tenant=row.tenant,
        document_id=row.document_id,
        digest=row.digest,
        metadata_json=json.dumps(payload[Payload.METADATA], ensure_ascii=False),
        acl=tuple(payload.get(Payload.ACL, ())),
        expires=row.expires,
        pieces=tuple(pieces[ordinal] for ordinal in sorted(pieces)),
        start=start,
        total=row.chunks if end == row.chunks else None,
    )


def passage(
    payload: Mapping[str, Any], score: float, legs: tuple[LegScore, ...], sentence: Floats
) -> Passage:
    """A stored chunk as found.

    Args:
        payload: The point's.
        score: The fused score.
        legs: How the legs placed it.
        sentence: The question's sentence vector.
    """
    return Passage(
        document_id=payload[Payload.DOCUMENT],
        chunk_id=payload[Payload.CHUNK],
        title=payload[Payload.TITLE],
        text=payload[Payload.TEXT],
        metadata_json=json.dumps(payload[Payload.METADATA], ensure_ascii=False),
        score=score,
        legs=legs,
        sentences=_sentences(payload, sentence),
    )


def placed(payload: Mapping[str, Any], sentence: Floats) -> expansion.Piece:
    """A stored chunk in its document.

    Args:
        payload: The point's.
        sentence: The question's sentence vector.
    """
    return expansion.Piece(
        payload[Payload.ORDINAL],
        tuple(payload[Payload.SECTION]),
        payload[Payload.TEXT],
        _sentences(payload, sentence),
    )


def _sentences(payload: Mapping[str, Any], question: Floats) -> tuple[SentenceScore, ...]:
    coded = base64.b64decode(payload[Payload.SENTENCE_VECTORS])
    similarities = coding.sentence_similarities(coded, question)
    return tuple(
        SentenceScore(Span(start, end), similarity)
        for (start, end), similarity in zip(payload[Payload.SENTENCES], similarities, strict=True)
    )
