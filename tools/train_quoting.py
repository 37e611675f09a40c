"""Fits the weights of the extractive engine's choice: of its sentences, and of whether the passages answer.

    .venv/bin/python tools/train_quoting.py --data FOLDER [--sets NAME …]

FOLDER is as in bench/answers_quality.py. Only the development half of the questions is read; every collection, and
every question in it, counts the same. What a sentence is worth is a pairwise logistic regression, its chance a logistic
one on that. Evidence is fitted on questions whose passages answer against the same ones without the passages that do,
and another collection's questions; its constant is such that of the first no collection has more than 3 % refused. No
weight has the wrong sign.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
from evaluation.answering import COLLECTIONS, OTHERS, Case, Cases, gather
from evaluation.labelled import Split

from sluice_inference.domain.quoting import asked, sentences, weighing
from sluice_inference.domain.quoting.weighing import EVIDENCE_WEIGHTS, SENTENCE_WEIGHTS, Weighing

#: Against what speaks for an answer, whatever the data say.
_AGAINST = ("passage", "asks")

#: How much the three kinds count, however many there are of each; and how many of the first may be refused.
_ANSWERED, _REMOVED, _FOREIGN = 1.0, 0.5, 0.5
_REFUSED = 0.03

#: Share of a sentence that is marked, from which it belongs to the answer.
_BELONGS = 0.5

#: Definitions are too rare in the data to be fitted.
_BY_HAND = {"defines": 0.8}

_PENALTY = 1e-4

Floats = npt.NDArray[np.float64]


def main() -> None:
    """Fits and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--sets", nargs="*", choices=list(COLLECTIONS), default=["chunkeval", "scifact", "pubmedqa"]
    )
    arguments = parser.parse_args()
    fit([asyncio.run(_gathered(name, arguments.data)) for name in arguments.sets])


def fit(found: Sequence[Cases]) -> None:
    """Fits both, one after the other, and prints them."""
    marked = [cases for cases in found if cases.has_ranges]
    fitted = dict(zip(SENTENCE_WEIGHTS, fit_worth(marked).tolist(), strict=True))
    constant, slope, best = fit_chance(marked, np.array(list(fitted.values())))
    weighing.SENTENCE_WEIGHTS = {name: slope * value for name, value in fitted.items()} | _BY_HAND
    weighing.SENTENCE_BEST, weighing.SENTENCE_CONSTANT = -best / slope, constant
    print(f"SENTENCE_BEST, SENTENCE_CONSTANT = {weighing.SENTENCE_BEST:.2f}, {constant:.2f}")
    _print(weighing.SENTENCE_WEIGHTS)
    constant, weights = fit_evidence(found)
    weighing.EVIDENCE_CONSTANT = constant
    weighing.EVIDENCE_WEIGHTS = dict(zip(EVIDENCE_WEIGHTS, weights.tolist(), strict=True))
    print(f"EVIDENCE_CONSTANT = {constant:.2f}")
    _print(weighing.EVIDENCE_WEIGHTS)


async def _gathered(name: str, data: Path) -> Cases:
    return await gather(COLLECTIONS[name](data), COLLECTIONS[OTHERS[name]](data), Split.DEV)


def fit_worth(found: Sequence[Cases]) -> Floats:
    """Weights by which a sentence of the answer is worth more than another one of its question's; long ones count
    more, as they do for who reads."""
    rows, shares = [], []
    for cases in found:
        for case in cases.answered:
            features, right, lengths = _sentences(case)
            if right.any() and not right.all():
                rows.append(
                    (features[right][:, None] - features[~right][None]).reshape(-1, features.shape[1])
                )
                share = np.repeat(lengths[right], int((~right).sum()))
                shares.append(share / share.sum() / len(cases.answered))
    signs = [-1 if name in _AGAINST else 1 for name in SENTENCE_WEIGHTS]
    differences = np.concatenate(rows)
    return _fit(differences, np.ones(len(differences), bool), np.concatenate(shares), signs, constant=False)[
        1
    ]


def fit_chance(found: Sequence[Cases], weights: Floats) -> tuple[float, float, float]:
    """Of the odds that a sentence belongs to the answer: the constant, and what its own worth and the best one's are
    multiplied by."""
    rows, right, shares = [], [], []
    for cases in found:
        for case in cases.answered:
            features, belongs, _ = _sentences(case)
            worth = features @ weights
            rows.append(np.column_stack([worth, np.full(len(worth), worth.max())]))
            right.append(belongs)
            shares.append(np.full(len(worth), 1 / len(worth) / len(cases.answered)))
    constant, slopes = _fit(np.concatenate(rows), np.concatenate(right), np.concatenate(shares), [1, -1])
    return constant, float(slopes[0]), float(slopes[1])


def _sentences(case: Case) -> tuple[Floats, npt.NDArray[np.bool_], Floats]:
    found = list(_weighing(case).features())
    right = [case.share(sentence.passage, sentence.position) >= _BELONGS for sentence, _, _ in found]
    lengths = [float(sentence.end - sentence.start) for sentence, _, _ in found]
    return np.array([features for *_, features in found]), np.array(right), np.array(lengths)


def fit_evidence(found: Sequence[Cases]) -> tuple[float, Floats]:
    """Constant and weights of the odds that passages answer."""
    rows, right, shares, answered = [], [], [], []
    for cases in found:
        kinds = ((cases.answered, _ANSWERED), (cases.removed, -_REMOVED), (cases.foreign, -_FOREIGN))
        for kind, share in kinds:
            features = np.array([_evidence(case) for case in kind])
            rows.append(features)
            right.append(np.full(len(features), share > 0))
            shares.append(np.full(len(features), abs(share) / len(features)))
            if share > 0:
                answered.append(features)
    _, weights = _fit(
        np.concatenate(rows), np.concatenate(right), np.concatenate(shares), [1] * len(EVIDENCE_WEIGHTS)
    )
    return -min(float(np.quantile(each @ weights, _REFUSED)) for each in answered), weights


def _evidence(case: Case) -> tuple[float, ...]:
    own = _weighing(case)
    return own.evidence_features(own.sentences())


def _weighing(case: Case) -> Weighing:
    return Weighing(asked.read(case.question), case.passages, sentences.read(case.passages))


def _fit(
    rows: Floats, right: npt.NDArray[np.bool_], shares: Floats, signs: Sequence[int], *, constant: bool = True
) -> tuple[float, Floats]:
    shares = shares / shares.sum()

    def loss(values: Floats) -> tuple[float, Floats]:
        odds = rows @ values[1:] + values[0]
        wrong = shares * (1 / (1 + np.exp(-odds)) - right)
        total = np.sum(shares * (np.logaddexp(0, odds) - right * odds)) + _PENALTY / 2 * np.sum(
            values[1:] ** 2
        )
        return float(total), np.concatenate([[wrong.sum()], rows.T @ wrong + _PENALTY * values[1:]])

    bounds = [(None, None) if constant else (0, 0), *((0, None) if sign > 0 else (None, 0) for sign in signs)]
    found = minimize(loss, np.zeros(rows.shape[1] + 1), jac=True, bounds=bounds, method="L-BFGS-B")
    return float(found.x[0]), found.x[1:]


def _print(weights: dict[str, float]) -> None:
    print("\n".join(f'    "{name}": {weight:.2f},' for name, weight in weights.items()))


if __name__ == "__main__":
    main()
