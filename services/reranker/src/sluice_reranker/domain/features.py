"""What speaks for a candidate, each as a number from 0 to 1. The order that candidates are given in does not matter."""

from collections.abc import Sequence

import numpy as np

from sluice_reranker.domain.matching import Asked, Matches
from sluice_reranker.domain.model import Candidate
from sluice_reranker.domain.reading import Floats, Read

_LEGS = ("dense", "sparse", "tokens")

#: Of the set, so the same for each of its candidates: they change no order, and say how far a score is to be trusted.
OF_THE_SET = ("best_coverage", "best_sentence")

#: In the order of `matrix`'s columns. `_z`: compared with the other candidates, whose mean is at half.
NAMES = (
    "fused_z",
    "dense_z",
    "sparse_z",
    "tokens_z",
    "sentence_z",
    "sentences_z",
    "bm25_z",
    "coverage",
    "ordered",
    "closeness",
    "title",
    *OF_THE_SET,
)

#: What is beyond is no score.
_MOST_SCORE = 1e6
#: Standard deviations from the mean that are told apart.
_DEVIATIONS = 3.0
#: How far below the lowest score, as a share of all scores' range.
_BELOW = 0.1
#: Sentences of which the mean is taken.
_BEST_SENTENCES = 3


def matrix(question: str, candidates: Sequence[Candidate], reads: Sequence[Read]) -> Floats:
    """The features of candidates, one at least, shape (candidates, features); `reads` are their words."""
    matches = Matches(Asked.of(question), reads)
    coverage = matches.coverage()
    best, mean = _sentences(candidates)
    columns = {f"{leg}_z": _standard(_placed(candidates, leg)) for leg in _LEGS} | {
        "fused_z": _standard(_bounded([candidate.score for candidate in candidates])),
        "sentence_z": _standard(best),
        "sentences_z": _standard(mean),
        "bm25_z": _standard(matches.bm25()),
        "coverage": coverage,
        "ordered": matches.ordered(),
        "closeness": matches.closeness(),
        "title": matches.title(),
        "best_coverage": coverage.max(),
        "best_sentence": np.clip(best.max(), 0.0, 1.0),
    }
    rows = np.empty((len(candidates), len(NAMES)))
    for number, name in enumerate(NAMES):
        rows[:, number] = columns[name]
    return np.clip(rows, 0.0, 1.0)


def _placed(candidates: Sequence[Candidate], leg: str) -> Floats:
    """A leg's scores; one that the leg did not find is a little below all that it did."""
    placed = [candidate.legs.get(leg) for candidate in candidates]
    there = np.array([place is not None for place in placed])
    scores = _bounded([place.score if place else 0.0 for place in placed])
    found = scores[there]
    if not len(found):
        return np.zeros(len(candidates))
    return np.where(there, scores, found.min() - _BELOW * np.ptp(found) - 1e-6)


def _sentences(candidates: Sequence[Candidate]) -> tuple[Floats, Floats]:
    """How near the best sentence is to the question, and the best few on average; a candidate without sentences stands
    by its dense score."""
    nearest = []
    for candidate in candidates:
        similarities = sorted((each.similarity for each in candidate.sentences), reverse=True)
        dense = candidate.legs.get("dense")
        nearest.append(similarities[:_BEST_SENTENCES] or [dense.score if dense else 0.0])
    return _bounded([row[0] for row in nearest]), _bounded([sum(row) / len(row) for row in nearest])


def _bounded(values: Sequence[float]) -> Floats:
    numbers = np.nan_to_num(np.array(values, dtype=np.float64), posinf=_MOST_SCORE, neginf=-_MOST_SCORE)
    return np.clip(numbers, -_MOST_SCORE, _MOST_SCORE)


def _standard(values: Floats) -> Floats:
    """Standard deviations above the mean, brought to 0 to 1."""
    deviation = values.std()
    if deviation < 1e-9:
        return np.full(len(values), 0.5)
    standard: Floats = (values - values.mean()) / (2 * _DEVIATIONS * deviation) + 0.5
    return np.clip(standard, 0.0, 1.0)
