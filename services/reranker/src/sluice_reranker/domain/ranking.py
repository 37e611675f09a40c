"""The embedded ranker: a learned weighted sum of features. Explainable, and as fast as adding up."""

from collections.abc import Callable, Sequence

import numpy as np

from sluice_reranker.domain.features import NAMES, matrix
from sluice_reranker.domain.model import Candidate, Ranked, Ranking
from sluice_reranker.domain.reading import Read
from sluice_reranker.domain.weights import SHIPPED, Weights

MODEL = SHIPPED.name


def rank(
    question: str,
    candidates: Sequence[Candidate],
    top_k: int,
    in_time: Callable[[], bool],
    weights: Weights = SHIPPED,
) -> Ranking:
    """Orders the candidates, best first; equals keep the order given.

    Args:
        question: What was asked.
        candidates: In the retriever's order.
        top_k: How many to return; all when 0.
        in_time: False once no further candidate may be read. Those left out follow the scored ones, with
            score 0, so that a late ranking is never worse than none.
    """
    reads: list[Read] = []
    for candidate in candidates:
        if not in_time():
            break
        reads.append(Read.of(candidate))
    scores = weights.relevance(matrix(question, candidates[: len(reads)], reads)) if reads else ()
    scored = [Ranked(index, float(score)) for index, score in enumerate(scores)]
    left = [Ranked(index, 0.0) for index in range(len(scored), len(candidates))]
    best = [*sorted(scored, key=lambda ranked: -ranked.score), *left]
    return Ranking(tuple(best[: top_k or len(best)]), len(scored))


def explain(
    question: str, candidates: Sequence[Candidate], weights: Weights = SHIPPED
) -> list[dict[str, float]]:
    """For each candidate what each feature adds to the log-odds of its score, against the mean of the candidates."""
    if not candidates:
        return []
    values = matrix(question, candidates, [Read.of(candidate) for candidate in candidates])
    shares = (values - values.mean(axis=0)) * np.array([weights.by_feature[name] for name in NAMES])
    return [dict(zip(NAMES, map(float, row), strict=True)) for row in shares]
