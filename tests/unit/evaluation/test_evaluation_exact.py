"""The exact answer, and how near others come to it."""

import math

import numpy as np
import pytest
from evaluation import exact


def _vectors(count: int) -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_the_nearest_are_found_over_blocks_and_through_filters() -> None:
    vectors, questions = _vectors(40), _vectors(3)
    assert (
        exact.nearest(vectors, questions, rows=7).tolist()
        == np.argsort(-(questions @ vectors.T))[:, :10].tolist()
    )
    passing = np.arange(40) < 4
    found = exact.nearest(vectors, questions, passing)
    assert (found[:, 4:] == -1).all()
    assert set(found[0, :4].tolist()) == {0, 1, 2, 3}


def test_recall_and_ndcg_are_those_computed_by_hand() -> None:
    row = np.array([[*range(8), -1, -1]])
    assert exact.recall(row, [[0, 1, 2, 3, 99]]) == 0.5
    assert exact.ndcg(row, [list(range(8))]) == pytest.approx(1.0)
    best = sum((10 - place) / math.log2(place + 2) for place in range(8))
    assert exact.ndcg(row, [[3, 99, 0]]) == pytest.approx((7 + 10 / 2) / best)


def test_synthetic_vectors_keep_the_real_ones_first_and_are_near_them() -> None:
    real = _vectors(5)
    made = exact.resampled(real, 200, noise=0.4)
    assert (made[:5] == real).all()
    assert np.linalg.norm(made, axis=1) == pytest.approx(1.0, abs=1e-5)
    nearest = (made[5:] @ real.T).max(axis=1)
    assert 0.8 < nearest.mean() < 1.0
