"""Fits the embedded ranker's weights on labelled collections, and says what they are worth on others.

    .venv/bin/python tools/train_reranker.py --train FOLDER[:SPLIT] … --check FOLDER[:SPLIT] …

Each FOLDER is laid out as BEIR's collections are. SPLIT names `qrels/SPLIT.tsv`, or `even` / `odd` for the halves of
`qrels/test.tsv` by a hash of the query's id. A collection is stored and searched as a user's would be, and what was
encoded before is not encoded again; of each question the fused candidates are kept with their features. The weights
are those of a pairwise logistic regression, none below zero, scaled to add up to one.
"""

import argparse
import asyncio
import hashlib
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sluice_reranker.domain.features import NAMES, Features
from sluice_reranker.domain.ranking import WEIGHTS
from sluice_retriever.domain.parameters import resolve

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
from evaluation.asking import Asked, ask, stored
from evaluation.labelled import Labels, read_collection, read_labels
from evaluation.measures import scores
from evaluation.stages import RERANKED, candidate

_STEPS, _RATE, _PENALTY = 2000, 0.5, 1e-3

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Question:
    """A question's candidates."""

    features: Floats
    """Shape (candidates, features)."""
    documents: Sequence[str]
    grades: dict[str, float]

    def ranked(self, weights: Floats) -> list[str]:
        """Documents in the order that weights give; equals keep the order of the fusion."""
        order = np.argsort(-(self.features @ weights), kind="stable")
        return list(dict.fromkeys(self.documents[index] for index in order))


def main() -> None:
    """Fits, checks, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--train", nargs="+", required=True)
    parser.add_argument("--check", nargs="*", default=[])
    arguments = parser.parse_args()
    sets = {name: asyncio.run(gather(name)) for name in (*arguments.train, *arguments.check)}
    fitted = fit([sets[name] for name in arguments.train])
    present = np.array([WEIGHTS[name] for name in NAMES])
    for name, asked in sets.items():
        use = "train" if name in arguments.train else "check"
        fused = ndcg(asked, np.zeros(len(NAMES)))
        before, after = ndcg(asked, present), ndcg(asked, fitted)
        print(f"{use} {name}: nDCG@10 fused {fused:.4f}, present weights {before:.4f}, fitted {after:.4f}")
    print("\n".join(f'    "{name}": {weight:.3f},' for name, weight in zip(NAMES, fitted, strict=True)))


async def gather(name: str) -> list[Question]:
    """The candidates of all questions of a collection's split."""
    folder, _, split = name.partition(":")
    collection = read_collection(Path(folder))
    labels = _labels(Path(folder), split or "train")
    async with stored(collection) as retriever:
        questions = {query: collection.questions[query] for query in labels}
        asked = await ask(retriever, questions, resolve(), collection.name)
    return [_question(found, labels[query]) for query, found in asked.items() if found.passages]


def ndcg(asked: Sequence[Question], weights: Floats) -> float:
    """Mean nDCG@10 of the order that weights give; of the fusion's where all are zero."""
    labels = {str(number): each.grades for number, each in enumerate(asked)}
    rankings = {str(number): each.ranked(weights) for number, each in enumerate(asked)}
    return statistics.fmean(scores(labels, rankings)["nDCG@10"].values())


def fit(sets: Sequence[Sequence[Question]]) -> Floats:
    """Weights of a pairwise logistic regression; every set and every question in it counts the same."""
    pairs, shares = [], []
    for asked_set in sets:
        for asked in asked_set:
            good = np.array([document in asked.grades for document in asked.documents])
            if good.any() and not good.all():
                differences = asked.features[good][:, None, :] - asked.features[~good][None, :, :]
                flat = differences.reshape(-1, len(NAMES))
                pairs.append(flat)
                shares.append(np.full(len(flat), 1.0 / len(flat) / len(asked_set)))
    differences, share = np.concatenate(pairs), np.concatenate(shares)
    share /= share.sum()
    weights = np.ones(len(NAMES))
    for _ in range(_STEPS):
        wrong = 1.0 / (1.0 + np.exp(np.clip(differences @ weights, -50, 50)))
        gradient = (share * wrong) @ differences - _PENALTY * weights
        weights = np.maximum(0.0, weights + _RATE * 10 * gradient)
    scaled: Floats = weights / weights.sum()
    return scaled


def _labels(data: Path, split: str) -> Labels:
    if split not in ("even", "odd"):
        return read_labels(data / "qrels" / f"{split}.tsv")
    labels = read_labels(data / "qrels" / "test.tsv")
    return {
        query: grades
        for query, grades in labels.items()
        if ("even", "odd")[hashlib.sha256(query.encode()).digest()[0] % 2] == split
    }


def _question(asked: Asked, grades: dict[str, float]) -> Question:
    passages = asked.passages[:RERANKED]
    features = Features(asked.text, [candidate(passage) for passage in passages])
    rows = np.array([features.of(index) for index in range(len(passages))])
    return Question(rows, [passage.document_id for passage in passages], grades)


if __name__ == "__main__":
    main()
