"""Different things before more of the same."""

from collections.abc import Mapping, Sequence

from sluice_reranker.domain.arranging.likeness import jaccard, words
from sluice_reranker.domain.model import Candidate


def diverse(
    diversity: float,
    candidates: Sequence[Candidate],
    scores: Mapping[int, float],
    order: Sequence[int],
    most: int,
) -> list[int]:
    """The order by maximal marginal relevance, for the first `most`; the rest follow as they came.

    The next one has the greatest `(1 - d) · score - d · likeness`, where likeness is the greatest share of words that
    it has in common with one already chosen (Carbonell and Goldstein 1998).
    """
    if diversity == 0.0:
        return list(order)
    held = {index: frozenset(words(candidates[index].text)) for index in order}
    left, chosen = list(order), list[int]()
    likeness = dict.fromkeys(order, 0.0)
    while left and len(chosen) < most:
        best = max(left, key=lambda index: (1 - diversity) * scores[index] - diversity * likeness[index])
        left.remove(best)
        chosen.append(best)
        for index in left:
            likeness[index] = max(likeness[index], jaccard(held[index], held[best]))
    return chosen + left
