"""Fits the weights of `sluice_guardrail/domain/grounding/scoring.py`.

    .venv/bin/python bench/fit_groundedness.py FOLDER

FOLDER holds pubmedqa and scifact. Fitted on half of PubMedQA (by a hash of the id) and on SciFact's training claims:
claims against their own context, another one, and their own without the sentences that carry them. No weight of the
wrong sign is allowed. Prints the weights; the constants are such that one in twenty of PubMedQA's conclusions against
their own abstracts reaches 0.5.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

sys.path.insert(0, str(Path(__file__).parent))
from evaluation.grounding_cases import Case, context_sentences, pubmedqa, scifact
from evaluation.labelled import Split

from sluice_guardrail.domain.claims import claims
from sluice_guardrail.domain.embedding import Embedder, MiniLmEmbedder
from sluice_guardrail.domain.grounding.evidence import Evidence
from sluice_guardrail.domain.grounding.signals import weigh
from sluice_guardrail.domain.words import WordReader

#: How much each kind counts, however many claims it has.
_SHARES = {
    ("pubmedqa", "carried"): 3.0,
    ("pubmedqa", "another's context"): 3.0,
    ("sentences", "carried"): 1.0,
    ("sentences", "sentence dropped"): 1.0,
    ("scifact", "carried"): 3.0,
    ("scifact", "another's abstract"): 3.0,
    ("scifact", "evidence dropped"): 0.3,
}
_PENALTY = 0.1
_ALLOWED = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    cases = {
        "pubmedqa": pubmedqa(folder / "pubmedqa", Split.DEV),
        "sentences": context_sentences(folder / "pubmedqa", Split.DEV),
        "scifact": scifact(folder / "scifact", "claims_train.csv"),
    }
    embedder = MiniLmEmbedder()
    rows = {key: np.array([*_rows(cases[key[0]][key[1]], embedder)]) for key in _SHARES}
    for name, columns in (("by words", 3), ("by meaning", 4)):
        constant, weights = _fit({key: found[:, :columns] for key, found in rows.items()})
        odds = constant + rows["pubmedqa", "carried"][:, :columns] @ weights
        constant -= np.quantile(odds, 1 - _ALLOWED)
        print(f"{name}: {constant:.2f}, " + ", ".join(f"{weight:.2f}" for weight in weights))


def _rows(cases: Sequence[Case], embedder: Embedder) -> Iterator[list[float]]:
    """Of each claim the roots of its shares, and its likeness to the best sentence."""
    reader = WordReader()
    for case in cases:
        evidence = Evidence(case.passages, reader)
        asked = frozenset(reader.read(case.question).terms)
        for claim in claims(case.answer, case.passages):
            words = reader.read(claim.text)
            if len(words.terms) < 3:
                continue
            found = weigh(words, asked, evidence, range(len(case.passages)))
            likeness = 0.0
            if found.best:
                one, other = embedder.texts([claim.text, found.best[0].text])
                likeness = max(0.0, float(one @ other))
            shares = found.signals.sentences, found.signals.passage, found.signals.pairs
            yield [*np.sqrt(shares), likeness]


def _fit(rows: dict[tuple[str, str], np.ndarray]) -> tuple[float, np.ndarray]:
    features = np.concatenate([*rows.values()])
    bad = np.concatenate([np.full(len(found), float(key[1] != "carried")) for key, found in rows.items()])
    counts = np.concatenate([np.full(len(found), _SHARES[key] / len(found)) for key, found in rows.items()])
    counts *= 1000 / counts.sum()

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        odds = features @ values[1:] + values[0]
        wrong = counts * (1 / (1 + np.exp(-odds)) - bad)
        total = np.sum(counts * (np.logaddexp(0, odds) - bad * odds)) + _PENALTY / 2 * np.sum(values[1:] ** 2)
        return total, np.concatenate([[wrong.sum()], features.T @ wrong + _PENALTY * values[1:]])

    bounds = [(None, None)] + [(None, 0.0)] * features.shape[1]
    found = minimize(loss, np.zeros(features.shape[1] + 1), jac=True, bounds=bounds, method="L-BFGS-B")
    return float(found.x[0]), found.x[1:]


if __name__ == "__main__":
    main()
