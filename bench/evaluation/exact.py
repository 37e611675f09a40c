"""The exact answer, and how near others come to it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sluice_retriever.domain.model import Floats

TOP = 10

_ROWS = 100_000

Ids = npt.NDArray[np.int64]


def nearest(
    vectors: Floats, questions: Floats, passing: npt.NDArray[np.bool_] | None = None, rows: int = _ROWS
) -> Ids:
    """Rows of the ten nearest vectors by float32 cosine, best first: shape (questions, 10), -1 where there are fewer.

    Args:
        vectors: Shape (rows, dimension), L2-normalised.
        questions: Shape (questions, dimension), L2-normalised.
        passing: Which rows may be found; all when None.
        rows: Looked at in one go, which bounds memory.
    """
    best = np.full((len(questions), TOP), -np.inf, np.float32)
    names = np.full((len(questions), TOP), -1, np.int64)
    for start in range(0, len(vectors), rows):
        similarities = questions @ vectors[start : start + rows].T
        if passing is not None:
            similarities[:, ~passing[start : start + rows]] = -np.inf
        both = np.concatenate([best, similarities], axis=1)
        numbers = np.arange(start, start + similarities.shape[1])
        named = np.concatenate([names, np.broadcast_to(numbers, similarities.shape)], axis=1)
        order = np.argsort(-both, axis=1, kind="stable")[:, :TOP]
        best, names = np.take_along_axis(both, order, 1), np.take_along_axis(named, order, 1)
    names[np.isneginf(best)] = -1
    return names


def recall(exact: Ids, found: Sequence[Sequence[int]]) -> float:
    """The share of the exact ten that were found, over all questions that have any."""
    shares = [
        len(set(wanted.tolist()) & set(got)) / len(wanted)
        for wanted, got in zip((row[row >= 0] for row in exact), found, strict=True)
        if len(wanted)
    ]
    return float(np.mean(shares))


def ndcg(exact: Ids, found: Sequence[Sequence[int]]) -> float:
    """nDCG@10 where the exact answer's first is worth 10, its second 9, and so on."""
    discounts = 1 / np.log2(np.arange(TOP) + 2)
    values = []
    for row, got in zip(exact, found, strict=True):
        worth = {int(name): TOP - place for place, name in enumerate(row) if name >= 0}
        if worth:
            gain = sum(
                worth.get(name, 0) * discount for name, discount in zip(got[:TOP], discounts, strict=False)
            )
            values.append(gain / sum(np.array(list(worth.values())) * discounts[: len(worth)]))
    return float(np.mean(values))


def resampled(vectors: Floats, count: int, noise: float = 0.4) -> Floats:
    """Synthetic vectors in number: the real ones first, then real ones drawn anew with noise, renormalised.

    Args:
        vectors: Real ones.
        count: How many to make of them.
        noise: Length of the noise; at 0.4 a vector's cosine with the one it came from is .93.
    """
    random = np.random.default_rng(0)
    made = np.empty((count, vectors.shape[1]), np.float32)
    made[: len(vectors)] = vectors
    for start in range(len(vectors), count, _ROWS):
        rows = made[start : min(count, start + _ROWS)]
        rows[:] = vectors[random.integers(0, len(vectors), len(rows))]
        rows += random.normal(0, noise / np.sqrt(rows.shape[1]), rows.shape).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return made
