"""The embedded ranker: a learned weighted sum of features. Explainable, and as fast as adding up."""

from collections.abc import Callable, Sequence

from sluice_reranker.domain.features import NAMES, Features
from sluice_reranker.domain.model import Candidate, Ranked, Ranking

MODEL = "features-2"

#: What each feature is worth; together 1. Fitted by tools/train_reranker.py on SciFact's training claims (Wadden et al.
#: 2020, CC BY 4.0; abstracts ODC-By).
WEIGHTS = {
    "fused": 0.169,
    "dense": 0.197,
    "sparse": 0.105,
    "tokens": 0.084,
    "sentence": 0.184,
    "coverage": 0.048,
    "sentence_coverage": 0.041,
    "proximity": 0.040,
    "title": 0.132,
}
_WEIGHTS = tuple(WEIGHTS[name] for name in NAMES)


def rank(question: str, candidates: Sequence[Candidate], top_k: int, in_time: Callable[[], bool]) -> Ranking:
    """Orders the candidates, best first; equals keep the order given.

    Args:
        question: What was asked.
        candidates: In the retriever's order.
        top_k: How many to return; all when 0.
        in_time: False once no further candidate may be scored. Those left out follow the scored ones, with
            score 0, so that a late ranking is never worse than none.
    """
    features = Features(question, candidates)
    scored: list[Ranked] = []
    for index in range(len(candidates)):
        if not in_time():
            break
        values = features.of(index)
        score = sum(weight * value for weight, value in zip(_WEIGHTS, values, strict=True))
        scored.append(Ranked(index, min(1.0, score)))
    left = [Ranked(index, 0.0) for index in range(len(scored), len(candidates))]
    best = [*sorted(scored, key=lambda ranked: -ranked.score), *left]
    return Ranking(tuple(best[: top_k or len(best)]), len(scored))
