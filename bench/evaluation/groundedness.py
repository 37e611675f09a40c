"""How well the output gate tells carried answers from those that the passages do not carry.

    .venv/bin/python bench/evaluation/groundedness.py FOLDER

FOLDER holds pubmedqa (ori_pqal.json), scifact (claims_*.csv, corpus_train.csv) and climate_fever (climate-fever.jsonl).
Only what no weight was fitted to is measured: the other half of PubMedQA, SciFact's validation claims, half of
CLIMATE-FEVER. Answers of one source are drawn together for the intervals.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from evaluation.grounding_cases import Case, climate_fever, context_sentences, pubmedqa, scifact
from evaluation.labelled import Split
from sluice_guardrail.domain.detectors.groundedness import GroundednessDetector
from sluice_guardrail.domain.embedding import MiniLmEmbedder
from sluice_guardrail.domain.model import Detection
from sluice_guardrail.domain.texts import Answer

_RESAMPLES = 1_000
#: The score from which a policy flags where it says nothing else.
_FLAG = 0.5

Detect = Callable[[Answer], Detection]
Scores = dict[str, list[tuple[str, float, bool]]]
"""By kind: of each answer its source, its score, and whether a claim of it is flagged."""


@dataclass(frozen=True)
class Row:
    """One kind of answer that is not carried, against those that are."""

    name: str
    count: int
    auc: float
    low: float
    high: float
    flagged: float
    """Share of these answers with a flag."""
    false_flags: float
    """Share of the carried ones with a flag."""


@dataclass(frozen=True)
class Table:
    """One set, by words alone or with meanings."""

    title: str
    rows: tuple[Row, ...]
    milliseconds: tuple[float, float]
    """Median and 95th percentile of one answer."""


def groundedness_tables(data: Path) -> list[Table]:
    """All tables of the sets that are there."""
    sets = {
        "pubmedqa": lambda folder: pubmedqa(folder, Split.TEST),
        "pubmedqa, perturbed sentences": lambda folder: context_sentences(folder, Split.TEST),
        "scifact, validation": lambda folder: scifact(folder, "claims_validation.csv"),
        "climate_fever": lambda folder: climate_fever(folder, Split.TEST),
    }
    detectors = {
        "by words": GroundednessDetector(),
        "with meanings": GroundednessDetector(MiniLmEmbedder(), budget=60.0),
    }
    return [
        table(f"{name}, {how}", cases(folder), detector.detect)
        for name, cases in sets.items()
        if (folder := data / name.partition(",")[0]).is_dir()
        for how, detector in detectors.items()
    ]


def table(title: str, cases: Mapping[str, Sequence[Case]], detect: Detect) -> Table:
    """What a detector makes of one set's cases; those under `carried` are the good ones."""
    times: list[float] = []
    scores: Scores = {kind: [_scored(case, detect, times) for case in found] for kind, found in cases.items()}
    good = scores["carried"]
    false_flags = sum(flagged for _, _, flagged in good) / len(good)
    rows = [
        Row(kind, len(bad), *_auc(good, bad), sum(flagged for _, _, flagged in bad) / len(bad), false_flags)
        for kind, bad in scores.items()
        if kind != "carried"
    ]
    cuts = statistics.quantiles(times, n=20)
    return Table(title, tuple(rows), (cuts[9], cuts[18]))


def _scored(case: Case, detect: Detect, times: list[float]) -> tuple[str, float, bool]:
    started = time.perf_counter()
    detection = detect(Answer(case.question, case.answer, case.passages))
    times.append((time.perf_counter() - started) * 1000)
    return case.source, detection.score, any(finding.score >= _FLAG for finding in detection.findings)


def _auc(
    good: Sequence[tuple[str, float, bool]], bad: Sequence[tuple[str, float, bool]]
) -> tuple[float, float, float]:
    """The AUC and its 95 % interval, by drawing sources."""
    sources = sorted({source for source, _, _ in [*good, *bad]})
    numbers = {source: index for index, source in enumerate(sources)}
    values = np.array([score for _, score, _ in [*good, *bad]])
    owners = np.array([numbers[source] for source, _, _ in [*good, *bad]])
    is_bad = np.arange(len(values)) >= len(good)
    rng = np.random.default_rng(0)
    drawn = [
        _weighted_auc(
            values, is_bad, rng.multinomial(len(sources), [1 / len(sources)] * len(sources))[owners]
        )
        for _ in range(_RESAMPLES)
    ]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return _weighted_auc(values, is_bad, np.ones(len(values))), float(low), float(high)


def _weighted_auc(values: np.ndarray, is_bad: np.ndarray, weights: np.ndarray) -> float:
    """The chance that a bad one scores higher than a good one; a tie counts half."""
    _, ranks = np.unique(values, return_inverse=True)
    bad = np.bincount(ranks, weights * is_bad, ranks.max() + 1)
    good = np.bincount(ranks, weights * ~is_bad, ranks.max() + 1)
    below = np.cumsum(good) - good
    total = bad.sum() * good.sum()
    return float((bad * (below + good / 2)).sum() / total) if total else float("nan")


def print_tables(tables: Sequence[Table]) -> None:
    """As Markdown."""
    for each in tables:
        print(f"\n{each.title}: {each.milliseconds[0]:.1f} ms, 95 % within {each.milliseconds[1]:.1f} ms")
        print(
            "| not carried | answers | AUC [95 %] | flagged | carried ones flagged |\n| --- | --- | --- | --- | --- |"
        )
        for row in each.rows:
            print(
                f"| {row.name} | {row.count} | {row.auc:.3f} [{row.low:.3f}, {row.high:.3f}] "
                f"| {row.flagged:.1%} | {row.false_flags:.1%} |"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    print_tables(groundedness_tables(parser.parse_args().folder))


if __name__ == "__main__":
    main()
