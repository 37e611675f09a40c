"""What each ranker makes of the retriever's candidates, and what it costs: the real service, over gRPC on loopback.

    make bench-rerank DATA=folder
    .venv/bin/python bench/rerank.py --data FOLDER [--sets NAME …] [--split dev] [--rankers NAME …] [--timed 200]
        [--questions 20]

Collections are stored and asked as in bench/eval_retrieval.py, and each ranker is given the first 50 candidates of
every question. A cross-encoder takes part where SLUICE_CROSS_ENCODER names a folder with one. `--rankers` leaves others
out than the embedded one: late interaction takes seconds of a core for each question. What is printed is kept
in .cache/evaluation: rerank.csv, rerank-times.csv, plots/rerank-SPLIT.png.
"""

import argparse
import asyncio
import csv
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import islice
from pathlib import Path

from evaluation.asking import CACHE, Asked, ask, stored
from evaluation.labelled import EXPECTED, Collection, Labels, Split, read_collections
from evaluation.measures import Interval, difference, scores
from evaluation.plots import differences
from evaluation.reranking import EMBEDDED, Load, Reranker, rankers, reranker
from evaluation.stages import BM25, DENSE, HYBRID, STAGED, rankings
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from sluice_api.objects.ranker import Ranker
from sluice_retriever.domain.parameters import resolve

_STAGES = (BM25, DENSE, HYBRID, STAGED)
#: Questions on their way at once where times are taken.
_AT_ONCE = (1, 8)
#: Milliseconds that 95 of 100 questions may take the embedded ranker, alone.
_BUDGET = 20.0

_CONSOLE = Console(width=None if sys.stdout.isatty() else 130)


@dataclass(frozen=True)
class Ranked:
    """One ranking of one collection."""

    collection: str
    ranking: str
    questions: int
    ndcg: float
    over_staged: Interval


@dataclass(frozen=True)
class Timed:
    """One ranker, asked so many questions at once."""

    ranker: str
    at_once: int
    load: Load


def main() -> None:
    """Measures, prints, saves."""
    compared = rankers(os.environ.get("SLUICE_CROSS_ENCODER", ""))
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXPECTED, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=lambda given: Path(given) if given else None, required=True)
    parser.add_argument("--sets", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--split", type=Split, choices=list(Split), default=Split.TEST)
    parser.add_argument("--rankers", nargs="+", choices=list(compared), default=list(compared))
    parser.add_argument("--timed", type=int, default=200, help="questions for which times are taken, at most")
    parser.add_argument("--questions", type=int, default=0, help="of each collection, at most; all when 0")
    arguments = parser.parse_args()
    collections = read_collections(arguments.data, arguments.sets)
    if arguments.questions:
        collections = [_first(each, arguments.split, arguments.questions) for each in collections]
    chosen = {name: compared[name] for name in dict.fromkeys((EMBEDDED, *arguments.rankers))}
    asyncio.run(measure(collections, arguments.split, chosen, arguments.timed))


async def measure(
    collections: Sequence[Collection], split: Split, compared: Mapping[str, Ranker], most_timed: int
) -> None:
    """All collections on one reranker, then its times."""
    ranked: list[Ranked] = []
    better: dict[str, dict[str, Interval]] = {}
    found = {collection.name: await _asked(collection, split) for collection in collections}
    with tempfile.TemporaryDirectory() as folder, Progress(console=_CONSOLE, transient=True) as progress:
        async with reranker(Path(folder), compared) as there:
            for collection in collections:
                asked = found[collection.name]
                loads = [(name, await there.load(name, asked, 1, progress)) for name in compared]
                values = _values(collection.labels[split], asked, dict(loads))
                ranked += _ranked(collection.name, values)
                better[collection.name] = {
                    name: difference(values[EMBEDDED], row)
                    for name, row in values.items()
                    if name != EMBEDDED
                }
            times = await _times(there, list(compared), _spread(found, most_timed), progress)
    _print_ranked(ranked)
    _print_times(times)
    _save(ranked, times)
    path = CACHE / "plots" / f"rerank-{split}.png"
    differences(better, EMBEDDED, path)
    _CONSOLE.print(f"plot: {path}")


def _first(collection: Collection, split: Split, most: int) -> Collection:
    labels = dict(islice(collection.labels[split].items(), most))
    return replace(collection, labels={**collection.labels, split: labels})


async def _asked(collection: Collection, split: Split) -> dict[str, Asked]:
    questions = {query: collection.questions[query] for query in collection.labels[split]}
    async with stored(collection) as retriever:
        return await ask(retriever, questions, resolve(), collection.name)


def _values(
    labels: Labels, asked: Mapping[str, Asked], loads: Mapping[str, Load]
) -> dict[str, dict[str, float]]:
    """nDCG@10 by ranking and question."""
    stages = rankings(asked, resolve())
    documents = {name: stages[name] for name in _STAGES} | {
        name: load.documents for name, load in loads.items()
    }
    return {
        name: scores(labels, {query: row[:10] for query, row in found.items()})["nDCG@10"]
        for name, found in documents.items()
    }


def _ranked(collection: str, values: Mapping[str, Mapping[str, float]]) -> list[Ranked]:
    return [
        Ranked(collection, name, len(row), statistics.fmean(row.values()), difference(row, values[STAGED]))
        for name, row in values.items()
    ]


def _spread(found: Mapping[str, Mapping[str, Asked]], most: int) -> dict[str, Asked]:
    """Questions for which times are taken: as many of each collection."""
    each = max(1, most // len(found))
    return {
        f"{name}/{query}": row for name, asked in found.items() for query, row in islice(asked.items(), each)
    }


async def _times(
    there: Reranker, compared: Sequence[str], asked: Mapping[str, Asked], progress: Progress
) -> list[Timed]:
    return [
        Timed(name, at_once, await there.load(name, asked, at_once, progress))
        for name in compared
        for at_once in _AT_ONCE
    ]


def _print_ranked(ranked: Sequence[Ranked]) -> None:
    names = list(dict.fromkeys(row.ranking for row in ranked))
    counts = dict.fromkeys((row.collection, row.questions) for row in ranked)
    table = Table(
        "ranking", *(f"{name}, {count}" for name, count in counts), title=f"nDCG@10 (minus {STAGED})"
    )
    for name in names:
        rows = [row for row in ranked if row.ranking == name]
        table.add_row(
            name, *(f"{row.ndcg:.3f}" + (f" ({row.over_staged})" if name != STAGED else "") for row in rows)
        )
    _CONSOLE.print(table)


def _print_times(times: Sequence[Timed]) -> None:
    table = Table("ranker", "at once", "questions", "p50, ms", "p95", "CPU, ms", "budget, p95")
    for row in times:
        budgeted = row.ranker == EMBEDDED and row.at_once == 1
        kept = "kept" if row.load.percentile(95) <= _BUDGET else "missed"
        table.add_row(
            row.ranker,
            str(row.at_once),
            str(len(row.load.milliseconds)),
            f"{row.load.percentile(50):.1f}",
            f"{row.load.percentile(95):.1f}",
            f"{row.load.cpu_milliseconds:.1f}",
            f"{_BUDGET:.0f} {kept}" if budgeted else "",
        )
    _CONSOLE.print(table)


def _save(ranked: Sequence[Ranked], times: Sequence[Timed]) -> None:
    for name, header, rows in (
        (
            "rerank.csv",
            ("collection", "ranking", "questions", "ndcg@10", "over_staged", "low", "high"),
            [
                (*astuple(row)[:4], row.over_staged.mean, row.over_staged.low, row.over_staged.high)
                for row in ranked
            ],
        ),
        (
            "rerank-times.csv",
            ("ranker", "at_once", "questions", "p50_ms", "p95_ms", "cpu_ms"),
            [
                (
                    row.ranker,
                    row.at_once,
                    len(row.load.milliseconds),
                    row.load.percentile(50),
                    row.load.percentile(95),
                    row.load.cpu_milliseconds,
                )
                for row in times
            ],
        ),
    ):
        with (CACHE / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows(rows)
        _CONSOLE.print(f"table: {CACHE / name}")


if __name__ == "__main__":
    main()
