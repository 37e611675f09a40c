"""Fits the embedded ranker's weights on labelled collections, and says what they are worth on others.

    .venv/bin/python tools/train_reranker.py --train FOLDER[:SPLIT] … --check FOLDER[:SPLIT] … [--documents N]

Each FOLDER is laid out as BEIR's collections are. SPLIT names `qrels/SPLIT.tsv`, or `even` / `odd` for the halves of
`qrels/test.tsv` by a hash of the query's id. A collection is ingested and searched as a user's would be; of each
question the fused candidates are kept with their features. The weights are those of a pairwise logistic regression,
none below zero, scaled to add up to one.
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
from sluice_reranker.domain.model import Candidate, Placed, Sentence
from sluice_reranker.domain.ranking import WEIGHTS
from sluice_retriever.domain.model import Passage, Reader
from sluice_retriever.questions import Search

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
from retrieval_quality import (
    KNOWLEDGE_BASE,
    TENANT,
    Labels,
    ingest,
    ndcg,
    read_corpus,
    read_labels,
    read_lines,
    retriever,
)

_STEPS, _RATE, _PENALTY = 2000, 0.5, 1e-3
_CANDIDATES = 50

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Asked:
    """A question's candidates."""

    features: Floats
    """Shape (candidates, features)."""
    documents: Sequence[str]
    grades: dict[str, float]

    def ndcg(self, scores: Floats) -> float:
        """Of the order that the scores give; equals keep the order of the fusion."""
        order = np.argsort(-scores, kind="stable")
        found = dict.fromkeys(self.documents[index] for index in order)
        return ndcg(list(found)[:10], self.grades)


def main() -> None:
    """Fits, checks, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--train", nargs="+", required=True)
    parser.add_argument("--check", nargs="*", default=[])
    parser.add_argument("--documents", type=int, default=0, help="cut each collection; 0 keeps all")
    arguments = parser.parse_args()
    sets = {
        name: asyncio.run(gather(name, arguments.documents)) for name in (*arguments.train, *arguments.check)
    }
    fitted = fit([sets[name] for name in arguments.train])
    present = np.array([WEIGHTS[name] for name in NAMES])
    for name, asked in sets.items():
        use = "train" if name in arguments.train else "check"
        fused = statistics.fmean(each.ndcg(-np.arange(len(each.documents), dtype=float)) for each in asked)
        before, after = (
            statistics.fmean(each.ndcg(each.features @ w) for each in asked) for w in (present, fitted)
        )
        print(f"{use} {name}: nDCG@10 fused {fused:.4f}, present weights {before:.4f}, fitted {after:.4f}")
    print("\n".join(f'    "{name}": {weight:.3f},' for name, weight in zip(NAMES, fitted, strict=True)))


async def gather(name: str, documents: int) -> list[Asked]:
    """The candidates of all questions of a collection's split."""
    folder, _, split = name.partition(":")
    data = Path(folder)
    labels = _labels(data, split or "train")
    queries = {row["_id"]: row["text"] for row in read_lines(data / "queries.jsonl")}
    async with retriever() as running:
        await ingest(running.ingestion, read_corpus(data / "corpus.jsonl", labels, documents))
        found = []
        for query, grades in labels.items():
            search = Search(Reader(TENANT), KNOWLEDGE_BASE, queries[query], _CANDIDATES)
            passages = (await running.questions.search(search)).passages
            found.append(_asked(queries[query], passages, grades))
    return [asked for asked in found if len(asked.documents)]


def fit(sets: Sequence[Sequence[Asked]]) -> Floats:
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


def _asked(question: str, passages: Sequence[Passage], grades: dict[str, float]) -> Asked:
    features = Features(question, [_candidate(passage) for passage in passages])
    rows = np.array([features.of(index) for index in range(len(passages))])
    return Asked(rows, [passage.document_id for passage in passages], grades)


def _candidate(passage: Passage) -> Candidate:
    return Candidate(
        passage.title,
        passage.text,
        passage.score,
        {leg.leg: Placed(leg.rank, leg.score) for leg in passage.legs},
        tuple(Sentence(each.span.start, each.span.end, each.similarity) for each in passage.sentences),
    )


if __name__ == "__main__":
    main()
