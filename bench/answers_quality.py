"""What the embedded engine quotes, and when it says that the documents do not answer, on public questions.

    .venv/bin/python bench/answers_quality.py --data FOLDER [--sets NAME …] [--split test]

FOLDER holds `retrieval/chunkeval`, `guardrails/scifact`, `guardrails/pubmedqa` and `guardrails/climate_fever`, see
bench/evaluation/answering.py. Documents are stored, found and reranked by the services' own code, and the best five
passages handed to the engine, as in a run. Questions are split by a hash of their id.

Quoted sentences are held against the marked ones that are in these five passages: precision, recall and F1 by
characters, a mean over questions in which refusing counts 0. Then how well the engine's evidence tells questions that
the passages answer from those whose answering passages were all taken away, and from another collection's questions.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from evaluation.answering import COLLECTIONS, OTHERS, Case, Cases, gather
from evaluation.labelled import Split
from rich.console import Console
from rich.table import Table
from scipy.stats import mannwhitneyu

from sluice_inference.domain.extractive import choose, evidence
from sluice_inference.domain.model import Passage

#: As `ModelServer.extractive.maxSentences` is by default.
_MOST = 4

#: Questions wrongly refused, at which wrong answers are compared.
_REFUSED = 0.05

_ROUNDS = 5

_CONSOLE = Console(width=None if sys.stdout.isatty() else 130)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="*", choices=list(COLLECTIONS), default=list(COLLECTIONS))
    parser.add_argument("--split", type=Split, choices=list(Split), default=Split.DEV)
    arguments = parser.parse_args()
    found = [asyncio.run(_gathered(name, arguments.data, arguments.split)) for name in arguments.sets]
    _CONSOLE.print(quoting([cases for cases in found if cases.has_ranges], str(arguments.split)))
    _CONSOLE.print(refusing(found, str(arguments.split)))
    _CONSOLE.print(doubles(found))
    _CONSOLE.print(speed([case for cases in found for case in cases.answered]))


async def _gathered(name: str, data: Path, split: Split) -> Cases:
    return await gather(COLLECTIONS[name](data), COLLECTIONS[OTHERS[name]](data), split)


def quoting(found: Sequence[Cases], split: str) -> Table:
    """How good the quoted sentences are."""
    table = Table(title=f"quoted sentences, {split}")
    for column in (
        "collection",
        "questions",
        "precision",
        "recall",
        "F1",
        "first is right",
        "any is right",
        "quotes",
    ):
        table.add_column(column, justify="left" if column == "collection" else "right")
    for cases in found:
        rows = np.array([_judged(case) for case in cases.answered])
        table.add_row(cases.name, str(len(rows)), *(f"{value:.3f}" for value in rows.mean(axis=0)))
    return table


def _judged(case: Case) -> tuple[float, float, float, bool, bool, int]:
    ranges = _quoted(case)
    precision, recall = case.judge(ranges)
    f1 = 2 * precision * recall / (precision + recall) if precision else 0.0
    first = case.judge(ranges[:1])[0] > 0
    return precision, recall, f1, first, precision > 0, len(ranges)


def doubles(found: Sequence[Cases]) -> str:
    """How often both questions of two in one are answered."""
    rows = [_both(*pair) for cases in found for pair in cases.double]
    return (
        f"two questions in one, {len(rows)}: something right for both in {np.mean(rows):.3f}" if rows else ""
    )


def _both(one: Case, other: Case) -> bool:
    ranges = _quoted(one)
    return one.judge(ranges)[0] > 0 and other.judge(ranges)[0] > 0


def _quoted(case: Case) -> list[tuple[int, int, int]]:
    quotes = choose(case.question, case.passages, _MOST)
    return [(quote.number - 1, quote.start, quote.end) for quote in quotes]


def refusing(found: Sequence[Cases], split: str) -> Table:
    """How well questions that the passages do not answer are told from those that they do."""
    table = Table(
        title=f"evidence, {split}; refused at the engine's threshold, and answered at 5 % wrongly refused"
    )
    for column in (
        "collection",
        "against",
        "questions",
        "AUROC",
        "wrongly refused",
        "refused",
        "answered at 5 %",
    ):
        table.add_column(column, justify="left" if column in ("collection", "against") else "right")
    for cases in found:
        good = _evidence(cases.answered)
        threshold = np.quantile(good, _REFUSED)
        wrongly = _refused(cases.answered)
        for kind, others in (("answer removed", cases.removed), ("foreign questions", cases.foreign)):
            bad = _evidence(others)
            table.add_row(
                cases.name,
                kind,
                f"{len(good)}, {len(bad)}",
                f"{mannwhitneyu(good, bad).statistic / (len(good) * len(bad)):.3f}",
                f"{wrongly:.1%}",
                f"{_refused(others):.1%}",
                f"{np.mean(bad >= threshold):.1%}",
            )
    return table


def _evidence(cases: Sequence[Case]) -> np.ndarray:
    return np.array([evidence(case.question, case.passages) for case in cases])


def _refused(cases: Sequence[Case]) -> float:
    return float(np.mean([not choose(case.question, case.passages, _MOST) for case in cases]))


def speed(cases: Sequence[Case]) -> str:
    """CPU of a choice; the median over cases of each one's fastest."""
    return f"CPU of a choice: {np.median([_fastest(case.question, case.passages) for case in cases]):.2f} ms"


def _fastest(question: str, passages: Sequence[Passage]) -> float:
    taken = []
    for _ in range(_ROUNDS):
        started = time.process_time_ns()
        choose(question, passages, _MOST)
        taken.append((time.process_time_ns() - started) / 1e6)
    return min(taken)


if __name__ == "__main__":
    main()
