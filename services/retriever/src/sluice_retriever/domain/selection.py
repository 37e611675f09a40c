"""Which of the fused candidates are returned: by similarity, by document, and by how they differ."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sluice_retriever.domain.model import Floats


@dataclass(frozen=True, slots=True)
class Candidate:
    """A fused candidate."""

    id: str
    document_id: str
    score: float
    """Fused; higher is better."""
    similarity: float
    """Of its best sentence to the question, -1 to 1; -1 where it has no sentence."""
    vector: Floats | None = None
    """L2-normalised; read only where there is diversity to be had. Without one it differs from everything."""


def select(
    candidates: Sequence[Candidate],
    top_k: int,
    *,
    min_similarity: float = -1.0,
    max_per_document: int = 0,
    diversity: float = 0.0,
) -> list[Candidate]:
    """The best `top_k` of the candidates that are similar enough, no document having more than its share.

    Args:
        candidates: Best first.
        max_per_document: 0 for any number.
        diversity: The weight d of maximal marginal relevance (Carbonell and Goldstein, 1998): the next one has the
            greatest `(1-d)·relevance - d·s`, with the score brought to 0 to 1 as relevance and s the greatest cosine
            to one already chosen. Equals fall to the earlier, so 0 keeps the order.
    """
    similar = [candidate for candidate in candidates if candidate.similarity >= min_similarity]
    share = max_per_document or len(similar)
    if diversity > 0:
        return _diverse(similar, top_k, share, diversity)
    chosen: list[Candidate] = []
    taken: Counter[str] = Counter()
    for candidate in similar:
        if len(chosen) == top_k:
            break
        if taken[candidate.document_id] < share:
            taken[candidate.document_id] += 1
            chosen.append(candidate)
    return chosen


def _diverse(candidates: Sequence[Candidate], top_k: int, share: int, diversity: float) -> list[Candidate]:
    relevance = (1 - diversity) * _relevance(candidates)
    nearest = np.zeros(len(candidates), np.float32)  # to none, as long as none is chosen
    open_ = np.ones(len(candidates), bool)
    documents = np.array([candidate.document_id for candidate in candidates], object)
    vectors = _vectors(candidates)
    chosen: list[Candidate] = []
    taken: Counter[str] = Counter()
    while len(chosen) < top_k and open_.any():
        gains = np.where(open_, relevance - diversity * nearest, -np.inf)
        best = int(np.argmax(gains))  # the first of equals
        candidate = candidates[best]
        cosines = vectors @ vectors[best]
        nearest = np.maximum(nearest, cosines) if chosen else cosines
        chosen.append(candidate)
        open_[best] = False
        taken[candidate.document_id] += 1
        if taken[candidate.document_id] == share:
            open_ &= documents != candidate.document_id
    return chosen


def _relevance(candidates: Sequence[Candidate]) -> Floats:
    """Scores brought to 0 to 1; all 1 where they do not differ."""
    scores = np.array([candidate.score for candidate in candidates], np.float32)
    if not len(scores) or np.ptp(scores) == 0:
        return np.ones(len(scores), np.float32)
    scaled: Floats = (scores - scores.min()) / np.ptp(scores)
    return scaled


def _vectors(candidates: Sequence[Candidate]) -> Floats:
    """One row for each; a row of zeros where there is no vector."""
    length = next((len(candidate.vector) for candidate in candidates if candidate.vector is not None), 0)
    nothing = np.zeros(length, np.float32)
    rows = [nothing if candidate.vector is None else candidate.vector for candidate in candidates]
    return np.array(rows, np.float32).reshape(len(candidates), length)
