"""What the ranker is worth on a collection that it has not seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from evaluation.measures import Interval, difference

from reranker_training.fitting import Sets, by_trees, by_weights, calibrated, ranking_weights
from reranker_training.gathering import Question, fused, mean, ndcg
from sluice_reranker.domain.reading import Floats

#: Bounds of scores between which the share of right candidates is compared with what the scores say.
_BOUNDS = (0.0, 0.1, 0.3, 0.5, 0.7, 1.0)


@dataclass(frozen=True)
class Row:
    """One collection, left out."""

    name: str
    questions: int
    fused: float
    linear: float
    linear_over_fused: Interval
    trees: float
    trees_over_fused: Interval


def leave_out(sets: Sets) -> Sequence[Row]:
    """Each collection by rankers that were fitted on all others."""
    return [row(name, sets[name], {other: sets[other] for other in sets if other != name}) for name in sets]


def row(name: str, asked: Sequence[Question], others: Sets) -> Row:
    """One collection by rankers that were fitted on others."""
    base = ndcg(asked, fused)
    linear, trees = ndcg(asked, by_weights(ranking_weights(others))), ndcg(asked, by_trees(others))
    return Row(
        name,
        len(asked),
        mean(base),
        mean(linear),
        difference(linear, base),
        mean(trees),
        difference(trees, base),
    )


def reliability(
    asked: Sequence[Question], weights: Floats, bias: float
) -> Mapping[str, tuple[int, float, float]]:
    """By range of scores: how many candidates are in it, their mean score, and the share that answers."""
    score = np.concatenate([_relevance(each, weights, bias) for each in asked])
    right = np.concatenate([each.right for each in asked])
    found = {}
    for low, high in pairwise(_BOUNDS):
        inside = (score >= low) & (score < high)
        if inside.any():
            found[f"{low:g} to {high:g}"] = (
                int(inside.sum()),
                float(score[inside].mean()),
                float(right[inside].mean()),
            )
    return found


def left_out_reliability(sets: Sets) -> Mapping[str, Mapping[str, tuple[int, float, float]]]:
    """Of each collection, by weights and a calibration that were fitted on the others."""
    return {
        name: reliability(asked, *calibrated({other: sets[other] for other in sets if other != name}))
        for name, asked in sets.items()
    }


def _relevance(asked: Question, weights: Floats, bias: float) -> Floats:
    odds: Floats = asked.features @ weights + bias
    return 1.0 / (1.0 + np.exp(-odds))
