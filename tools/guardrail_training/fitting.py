"""Fits the two heads. The same examples in the same order always give the same weights on the same machine."""

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

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Settings:
    """What was chosen by leaving one training source out."""

    ngram_penalty: float = 3e-5
    embedding_penalty: float = 3e-5
    units: int = 0
    """Hidden units of the embeddings' head; none: it is linear."""
    smoothing: float = 0.02
    """How far the labels stand from 0 and 1."""
    source_power: float = 0.5
    """A source of n texts weighs n to this power."""
    rounds: int = 2
    """How often an attack's weight is moved to those of its windows that look like one."""
    ngram_share: float = 1.0
    embedding_share: float = 1.0
    seed: int = 0


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
    sparse_part: Doubles | None = None
    dense_part: Dense | None = None
    for _ in range(settings.rounds + 1):
        spread = _spread(share, owners)
        used = _balanced(weights * spread, labels)
        sparse_part = _logistic(ngrams, labels, used, settings.ngram_penalty, settings.smoothing, sparse_part)
        dense_part = _dense(embeddings, labels, used, settings)
        logits = settings.ngram_share * (
            ngrams @ sparse_part[:-1] + sparse_part[-1]
        ) + settings.embedding_share * _units(embeddings, dense_part)
        share = np.where(attack & ~beside, special.expit(logits) + 0.02, 1.0)
    hidden, hidden_bias, output, bias = dense_part
    return Head(
        (settings.ngram_share * sparse_part[:-1]).astype(np.float32),
        hidden.astype(np.float32),
        hidden_bias.astype(np.float32),
        (settings.embedding_share * output).astype(np.float32),
        float(settings.ngram_share * sparse_part[-1] + settings.embedding_share * bias),
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
    features: sparse.csr_matrix | Doubles,
    labels: Doubles,
    weights: Doubles,
    penalty: float,
    smoothing: float,
    start: Doubles | None = None,
) -> Doubles:
    """Weights and, last, the bias of a logistic regression with an L2 penalty, by L-BFGS."""
    targets = labels * (1 - 2 * smoothing) + smoothing
    kind = features.dtype  # another one would have the whole matrix copied at each step

    def loss(point: Doubles) -> tuple[float, Doubles]:
        logits = (features @ point[:-1].astype(kind)).astype(np.float64) + point[-1]
        value = (
            weights @ (np.logaddexp(0.0, logits) - targets * logits) + penalty * point[:-1] @ point[:-1] / 2
        )
        error = weights * (special.expit(logits) - targets)
        slope = (features.T @ error.astype(kind)).astype(np.float64)
        return float(value), np.append(slope + penalty * point[:-1], error.sum())

    first = np.zeros(features.shape[1] + 1) if start is None else start
    result = optimize.minimize(loss, first, jac=True, method="L-BFGS-B", options=_OPTIONS)
    point: Doubles = result.x
    return point


Dense = tuple[Doubles, Doubles, Doubles, float]


def _dense(features: Doubles, labels: Doubles, weights: Doubles, settings: Settings) -> Dense:
    if not settings.units:
        point = _logistic(features, labels, weights, settings.embedding_penalty, settings.smoothing)
        # As two units that cut off at zero, one for each sign.
        return np.stack([point[:-1], -point[:-1]], 1), np.zeros(2), np.array([1.0, -1.0]), float(point[-1])
    return _layered(features, labels, weights, settings)


def _layered(features: Doubles, labels: Doubles, weights: Doubles, settings: Settings) -> Dense:
    """One hidden layer, by L-BFGS over all of its weights at once."""
    size, units = features.shape[1], settings.units
    random = np.random.default_rng(settings.seed)
    start = np.concatenate(
        [
            random.normal(0, 1.5 / np.sqrt(1), size * units) * 0.3,
            np.zeros(units),
            random.normal(0, units**-0.5, units),
            [0.0],
        ]
    )
    targets = labels * (1 - 2 * settings.smoothing) + settings.smoothing

    def parts(point: Doubles) -> Dense:
        cut = size * units
        return (
            point[:cut].reshape(size, units),
            point[cut : cut + units],
            point[cut + units : -1],
            float(point[-1]),
        )

    def loss(point: Doubles) -> tuple[float, Doubles]:
        hidden, hidden_bias, output, bias = parts(point)
        reached = features @ hidden + hidden_bias
        active = np.maximum(reached, 0.0)
        logits = active @ output + bias
        value = weights @ (np.logaddexp(0.0, logits) - targets * logits)
        value += settings.embedding_penalty * ((hidden**2).sum() + output @ output) / 2
        error = weights * (special.expit(logits) - targets)
        back = np.outer(error, output) * (reached > 0)
        gradient = [
            (features.T @ back + settings.embedding_penalty * hidden).ravel(),
            back.sum(axis=0),
            active.T @ error + settings.embedding_penalty * output,
            [error.sum()],
        ]
        return float(value), np.concatenate(gradient)

    result = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options=_OPTIONS)
    return parts(result.x)


def _units(features: Doubles, dense: Dense) -> Doubles:
    hidden, hidden_bias, output, bias = dense
    logits: Doubles = np.maximum(features @ hidden + hidden_bias, 0.0) @ output + bias
    return logits


def window_logits(windows: Windows, head: Head) -> Floats:
    """Of every window."""
    units = np.maximum(windows.embeddings @ head.hidden + head.hidden_bias, 0.0)
    logits: Floats = (units @ head.output + windows.ngrams @ head.ngrams + np.float32(head.bias)).astype(
        np.float32
    )
    return logits


def text_logits(windows: Windows, head: Head, count: int) -> Floats:
    """Of every example: the highest of its windows; the lowest number where it has none."""
    best = np.full(count, np.float32(-30.0), np.float32)
    np.maximum.at(best, windows.owners, window_logits(windows, head))
    return best
