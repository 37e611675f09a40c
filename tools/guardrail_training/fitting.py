"""Fits a head. The same examples in the same order always give the same weights on the same machine."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, sparse, special

from guardrail_training.reading import Example
from guardrail_training.windows import Windows
from sluice_guardrail.domain.classifying.head import Head

#: Of every fit.
_OPTIONS = {"maxiter": 120, "ftol": 1e-6}
#: Of an attack's windows, the one that looks least like one still weighs this much of the others.
_LEAST = 0.02
#: What a text without any window comes to.
_LOWEST = np.float32(-30.0)

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a head is fitted."""

    penalty: float = 3e-5
    """L2, of both regressions."""
    smoothing: float = 0.02
    """How far the labels stand from 0 and 1."""
    source_power: float = 0.5
    """A source of n texts weighs n to this power."""
    rounds: int = 1
    """How often an attack's weight is moved to those of its windows that look like one."""


def fit(
    windows: Windows, examples: Sequence[Example], chosen: npt.NDArray[np.bool_], settings: Settings
) -> Head:
    """The head fitted on the chosen examples."""
    use = chosen[windows.owners]
    owners, beside = windows.owners[use], windows.beside[use]
    attack = np.array([example.attack for example in examples])[owners]
    labels = (attack & ~beside).astype(np.float64)
    ngrams, embeddings = windows.ngrams[use], windows.embeddings[use]
    weights = _text_weights(examples, owners, settings)
    share = np.ones(len(owners))
    by_ngrams = np.zeros(ngrams.shape[1] + 1)
    by_embeddings = np.zeros(embeddings.shape[1] + 1)
    for _ in range(settings.rounds + 1):
        used = _balanced(weights * _spread(share, owners), labels)
        by_ngrams = _logistic(ngrams, labels, used, settings, by_ngrams)
        by_embeddings = _logistic(embeddings, labels, used, settings, by_embeddings)
        logits = ngrams @ by_ngrams[:-1] + embeddings @ by_embeddings[:-1] + by_ngrams[-1] + by_embeddings[-1]
        share = np.where(labels == 1, special.expit(logits) + _LEAST, 1.0)
    return Head(
        by_ngrams[:-1].astype(np.float32),
        by_embeddings[:-1].astype(np.float32),
        float(by_ngrams[-1] + by_embeddings[-1]),
    )


def _text_weights(examples: Sequence[Example], owners: npt.NDArray[np.intp], settings: Settings) -> Doubles:
    """Of each window's text: its source's share of its label's whole."""
    texts = np.unique(owners)
    names = np.array([f"{examples[at].attack}{examples[at].source}" for at in texts])
    _, places, counts = np.unique(names, return_inverse=True, return_counts=True)
    per_text = counts.astype(np.float64) ** (settings.source_power - 1.0)
    weights = np.zeros(len(examples))
    weights[texts] = per_text[places]
    return weights[owners]


def _spread(share: Doubles, owners: npt.NDArray[np.intp]) -> Doubles:
    """The windows' shares of their texts, which weigh little more the longer they are."""
    sums = np.bincount(owners, share)
    counts = np.bincount(owners)
    spread: Doubles = share / np.maximum(sums, 1e-9)[owners] * np.maximum(counts, 1)[owners] ** 0.5
    return spread


def _balanced(weights: Doubles, labels: Doubles) -> Doubles:
    """Both labels weigh the same, and all together 1."""
    positive = labels == 1
    return np.where(positive, weights / weights[positive].sum(), weights / weights[~positive].sum()) / 2


def _logistic(
    features: sparse.csr_matrix | Floats,
    labels: Doubles,
    weights: Doubles,
    settings: Settings,
    start: Doubles,
) -> Doubles:
    """Weights and, last, the bias of a logistic regression with an L2 penalty, by L-BFGS."""
    targets = labels * (1 - 2 * settings.smoothing) + settings.smoothing
    kind = features.dtype  # another one would have the whole matrix copied at each step

    def loss(point: Doubles) -> tuple[float, Doubles]:
        logits = (features @ point[:-1].astype(kind)).astype(np.float64) + point[-1]
        value = weights @ (np.logaddexp(0.0, logits) - targets * logits)
        value += settings.penalty * point[:-1] @ point[:-1] / 2
        error = weights * (special.expit(logits) - targets)
        slope = (features.T @ error.astype(kind)).astype(np.float64)
        return float(value), np.append(slope + settings.penalty * point[:-1], error.sum())

    point: Doubles = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options=_OPTIONS).x
    return point


def text_logits(windows: Windows, head: Head, count: int) -> Floats:
    """Of every example: the highest of its windows."""
    logits = windows.embeddings @ head.embeddings + windows.ngrams @ head.ngrams + np.float32(head.bias)
    best = np.full(count, _LOWEST, np.float32)
    np.maximum.at(best, windows.owners, logits.astype(np.float32))
    return best
