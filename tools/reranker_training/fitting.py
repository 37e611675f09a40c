"""Weights, and the boosted trees that they are compared with."""

from collections.abc import Mapping, Sequence

import lightgbm
import numpy as np
from scipy.optimize import minimize

from reranker_training.gathering import Question, Scorer
from sluice_reranker.domain.features import NAMES, OF_THE_SET
from sluice_reranker.domain.reading import Floats

#: Chosen by leaving collections out, as were the features. It draws the weights to each other.
_PENALTY = 0.05
_RANKING = len(NAMES) - len(OF_THE_SET)

Sets = Mapping[str, Sequence[Question]]


def ranking_weights(sets: Sets) -> Floats:
    """A pairwise logistic regression: what answers above what does not, of the same question. No weight is below zero;
    every set and every question in it counts the same. Of the features that order candidates, the others' are 0."""
    pairs, shares = [], []
    for asked_set in sets.values():
        for asked in asked_set:
            right = asked.right
            if right.any() and not right.all():
                rows = asked.features[:, :_RANKING]
                differences = (rows[right][:, None, :] - rows[~right][None, :, :]).reshape(-1, _RANKING)
                pairs.append(differences)
                shares.append(np.full(len(differences), 1.0 / len(differences) / len(asked_set)))
    differences, share = np.concatenate(pairs), np.concatenate(shares)
    share /= share.sum()

    def loss(weights: Floats) -> tuple[float, Floats]:
        margin = differences @ weights
        wrong = 1.0 / (1.0 + np.exp(np.clip(margin, -50, 50)))
        value = share @ np.logaddexp(0, -margin) + _PENALTY * weights @ weights
        return float(value), -(share * wrong) @ differences + 2 * _PENALTY * weights

    found = minimize(loss, np.full(_RANKING, 0.5), jac=True, method="L-BFGS-B", bounds=[(0, None)] * _RANKING)
    return np.concatenate([found.x, np.zeros(len(OF_THE_SET))])


def by_weights(weights: Floats) -> Scorer:
    """The weighted sum."""
    return lambda asked: asked.features @ weights


def by_trees(sets: Sets) -> Scorer:
    """LambdaMART (Burges 2010): few leaves, much regularised, and more of a feature never lowers a score."""
    rows, labels, groups, shares = [], [], [], []
    for asked_set in sets.values():
        kept = [asked for asked in asked_set if asked.right.any()]
        for asked in kept:
            rows.append(asked.features)
            labels.append(asked.right.astype(int))
            groups.append(len(asked.documents))
            shares.append(np.full(len(asked.documents), 1000.0 / len(kept)))
    data = lightgbm.Dataset(
        np.concatenate(rows), np.concatenate(labels), group=groups, weight=np.concatenate(shares)
    )
    settings = {
        "objective": "lambdarank",
        "num_leaves": 4,
        "learning_rate": 0.05,
        "min_data_in_leaf": 200,
        "lambda_l2": 10.0,
        "feature_fraction": 0.5,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambdarank_truncation_level": 15,
        "monotone_constraints": [1] * _RANKING + [0] * len(OF_THE_SET),
        "monotone_constraints_method": "advanced",
        "seed": 0,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbose": -1,
    }
    trees = lightgbm.train(settings, data, num_boost_round=150)

    def score(asked: Question) -> Floats:
        return np.asarray(trees.predict(asked.features, num_threads=1))

    return score


def calibrated(sets: Sets) -> tuple[Floats, float]:
    """Weights of all features and a bias: log-odds that a candidate answers. The order within a question is that of
    `ranking_weights`; how much the sum tells, and what the set's own features add, is fitted on each set by weights
    that were fitted on the others."""
    rows, labels, shares = [], [], []
    for name, asked_set in sets.items():
        others = {other: found for other, found in sets.items() if other != name}
        weights = ranking_weights(others or sets)
        for asked in asked_set:
            rows.append(np.column_stack([asked.features @ weights, asked.features[:, _RANKING:]]))
            labels.append(asked.right.astype(float))
            shares.append(np.full(len(asked.documents), 1.0 / len(asked.documents) / len(asked_set)))
    inputs, label, share = np.concatenate(rows), np.concatenate(labels), np.concatenate(shares)
    share /= share.sum()

    def loss(found: Floats) -> tuple[float, Floats]:
        odds = inputs @ found[:-1] + found[-1]
        expected = 1.0 / (1.0 + np.exp(-np.clip(odds, -50, 50)))
        wrong = share * (expected - label)
        value = share @ (np.logaddexp(0, odds) - label * odds)
        return float(value), np.concatenate([wrong @ inputs, [wrong.sum()]])

    size = inputs.shape[1]
    found = minimize(
        loss,
        np.append(np.ones(size), -3.0),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * size + [(None, None)],
    ).x
    weights = found[0] * ranking_weights(sets)
    weights[_RANKING:] = found[1:-1]
    return weights, float(found[-1])
