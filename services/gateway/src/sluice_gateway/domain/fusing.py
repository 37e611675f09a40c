"""Passages of several searches in one list. Pure."""

from collections.abc import Sequence

from sluice_gateway.domain.model import Passage

#: As in the retriever's fusion of its legs: small values trust the first ranks.
_K = 2


def fused(rankings: Sequence[tuple[float, Sequence[Passage]]]) -> list[Passage]:
    """By reciprocal rank, best first: the sum of `weight / (2 + rank)`, ranks from zero. A chunk that was found twice
    stands once, as the ranking has it that placed it best.

    Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion", SIGIR 2009.
    """
    scores: dict[tuple[str, str], float] = {}
    best: dict[tuple[str, str], tuple[float, Passage]] = {}
    for weight, ranking in rankings:
        for rank, passage in enumerate(ranking):
            chunk = (passage.knowledge_base, passage.chunk_id)
            share = weight / (_K + rank)
            scores[chunk] = scores.get(chunk, 0.0) + share
            if chunk not in best or share > best[chunk][0]:
                best[chunk] = (share, passage)
    return [best[chunk][1] for chunk in sorted(scores, key=lambda chunk: -scores[chunk])]
