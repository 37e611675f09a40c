"""Reciprocal rank fusion as Qdrant computes it, over legs that keep their own ranks and scores."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sluice_retriever.domain.model import Leg, LegScore

#: For each leg the candidates' ids with the leg's score, best first.
Ranking = Sequence[tuple[str, float]]

#: A candidate's id and fused score, and how the legs placed it.
Fused = tuple[str, float, tuple[LegScore, ...]]


def fuse(legs: Mapping[Leg, Ranking], weights: Mapping[Leg, float], k: int, top_k: int) -> list[Fused]:
    """The best `top_k` ids with fused score and what each leg said of them.

    A leg adds `1 / ((rank + 1) / weight + k - 1)`; ranks count from zero, so k=2 here is Qdrant's default and
    k=61 is the paper's 60. A leg without weight adds nothing, not even its candidates. Ties fall to the
    lower id, so the order does not depend on the engine's.
    """
    scores: dict[str, float] = defaultdict(float)
    placed: dict[str, list[LegScore]] = defaultdict(list)
    for leg, ranking in legs.items():
        weight = weights[leg]
        for rank, (point, score) in enumerate(ranking):
            placed[point].append(LegScore(leg, rank, score))
            if weight > 0:
                scores[point] += 1 / ((rank + 1) / weight + k - 1)
    best = sorted(scores, key=lambda point: (-scores[point], point))[:top_k]
    return [(point, scores[point], tuple(placed[point])) for point in best]
