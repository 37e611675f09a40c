"""From fused candidates to passages: their contents, a choice among them, and what is joined to them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from qdrant_client import models

from sluice_retriever.domain.expansion import Hit, Piece, grow, reach
from sluice_retriever.domain.fusion import Fused
from sluice_retriever.domain.model import Passage
from sluice_retriever.domain.selection import Candidate, select
from sluice_retriever.store import filters, points
from sluice_retriever.store.backend import Backend
from sluice_retriever.store.messages import Lookup
from sluice_retriever.store.schema import Payload, Vector

#: Hits whose neighbours are read in one call.
_HITS = 16

#: What is read of a neighbour.
_PIECE: list[str] = [
    Payload.WRITE,
    Payload.ORDINAL,
    Payload.SECTION,
    Payload.TEXT,
    Payload.SENTENCES,
    Payload.SENTENCE_VECTORS,
]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A candidate that is returned."""

    payload: dict[str, Any]
    passage: Passage


async def choose(backend: Backend, lookup: Lookup, fused: Sequence[Fused]) -> list[Chosen]:
    """The best candidates that the parameters allow, with their contents; see `select`.

    Args:
        fused: Best first; more than are returned where `chooses`.
    """
    parameters = lookup.parameters
    differing = parameters.diversity > 0
    records = await backend.retrieve(
        lookup.reader.tenant,
        [point for point, _, _ in fused],
        vectors=[Vector.DENSE] if differing else False,
    )
    found = {str(record.id): record for record in records}
    candidates: list[Candidate] = []
    contents: dict[str, Chosen] = {}
    for point, score, legs in fused:
        if (record := found.get(point)) is None:
            continue
        payload = record.payload or {}
        passage = points.passage(payload, score, legs, lookup.vectors.sentence)
        contents[point] = Chosen(payload, passage)
        candidates.append(
            Candidate(
                point,
                passage.document_id,
                score,
                passage.similarity,
                _dense(record) if differing else None,
            )
        )
    chosen = select(
        candidates,
        lookup.top_k,
        min_similarity=parameters.min_similarity,
        max_per_document=parameters.max_per_document,
        diversity=parameters.diversity,
    )
    return [contents[candidate.id] for candidate in chosen]


def chooses(lookup: Lookup) -> bool:
    """Whether others than the first candidates may be returned."""
    parameters = lookup.parameters
    return parameters.min_similarity > -1 or parameters.max_per_document > 0 or parameters.diversity > 0


async def join(backend: Backend, lookup: Lookup, chosen: Sequence[Chosen]) -> list[Passage]:
    """The passages with what the parameters join to them; see `grow`."""
    parameters = lookup.parameters
    width = reach(parameters.neighbours, parameters.parent)
    if not width:
        return [each.passage for each in chosen]
    sentence = lookup.vectors.sentence
    hits = [Hit(each.payload[Payload.WRITE], points.placed(each.payload, sentence)) for each in chosen]
    pieces: dict[str, list[Piece]] = {}
    for start in range(0, len(hits), _HITS):
        some = hits[start : start + _HITS]
        runs: list[models.Condition] = [
            filters.of_run(lookup.reader.tenant, hit.document, hit.piece.ordinal - width, 2 * width + 1)
            for hit in some
        ]
        around, _ = await backend.scroll(
            lookup.reader.tenant, models.Filter(should=runs), len(some) * (2 * width + 1), payload=_PIECE
        )
        for record in around:
            payload = record.payload or {}
            pieces.setdefault(payload[Payload.WRITE], []).append(points.placed(payload, sentence))
    grown = grow(hits, pieces, parameters.neighbours, parameters.parent)
    return [replace(chosen[each.hits[0]].passage, text=each.text, sentences=each.sentences) for each in grown]


def _dense(record: models.Record) -> "np.ndarray[Any, np.dtype[np.float32]]":
    vectors = record.vector
    if not isinstance(vectors, dict):
        raise TypeError("the record was read without its vectors")
    return np.array(vectors[Vector.DENSE], np.float32)
