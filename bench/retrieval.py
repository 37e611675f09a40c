"""What quantization, graph and ACORN cost and bring: recall, time and memory of the dense leg, on real vectors.

    .venv/bin/python bench/retrieval.py --data FOLDER [--vectors 10000 100000] [--only PART …] [--slow]

FOLDER holds labelled collections (see eval_retrieval.py --help). Indexed are sentences of them, alone and with their
neighbour, as the built-in model encodes them; asked are sentences of documents that were held out, and the collections'
questions. `--slow` adds a million synthetic vectors: the real ones and others drawn from them with noise. Each search
goes through a worker process and has the retriever's filter, as in the retriever. Parts:

    quantization   each preset at each oversampling, scanned
    graph          scan and graph side by side, by number of vectors; how long building holds the process
    acorn          filtered searches on a graph, with ACORN and without
    memory         bytes a vector, computed and measured
    ingestion      documents a second, through the retriever's own ingestion

Rows are written to .cache/evaluation/retrieval.csv, plots beside it.
"""

import argparse
import asyncio
import csv
import math
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import numpy as np
from evaluation import footprint, plots
from evaluation.asking import CACHE
from evaluation.exact import resampled
from evaluation.ingesting import ingestion
from evaluation.labelled import EXPECTED, Collection, read_collections
from evaluation.measuring import GRAPH, OPTIMIZED, SCAN, Data, Row, measured, saved, shard
from evaluation.shards import SHARES
from evaluation.windows import Windows, encoded
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from sluice_api.objects.knowledge_base import Quantization

_OVERSAMPLING = (1.0, 2.0, 3.0, 4.0, 8.0)
_DEFAULT_OVERSAMPLING = 3.0
_KEPT = 0.96
"""The share of exact recall@10 and nDCG@10 that binary codes with rescoring have to keep."""

_GRAPH_PRESETS = (Quantization.BINARY_16X, Quantization.NONE)
_GRAPH_SIZES = (10_000, 20_000, 50_000, 100_000, 1_000_000)

#: Kilobytes of candidates above which ACORN's graph is asked: 1 % of 10,000 floats are more.
_FORCED = 100

_FILTERS = {
    "1 %": ("one",),
    "5 %": ("five",),
    "20 %": ("twenty",),
    "50 %": ("fifty",),
    "20 % and 50 %": ("twenty", "fifty"),
    "20 % and 5 %": ("twenty", "five"),
}

#: Columns that are left out where they hold one value.
_SETTINGS = ("vectors", "data", "preset", "index", "filter", "acorn", "oversampling")

_CONSOLE = Console(width=None if sys.stdout.isatty() else 160)

#: Told of each step that is done.
Step = Callable[[str], None]


def main() -> None:
    """Measures the parts that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXPECTED, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=lambda given: Path(given) if given else None, required=True)
    parser.add_argument("--vectors", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--only", nargs="+", choices=list(_PARTS), default=list(_PARTS))
    parser.add_argument("--slow", action="store_true", help="a million synthetic vectors, too")
    arguments = parser.parse_args()
    collections = read_collections(arguments.data, [])
    asyncio.run(measure(collections, arguments.vectors, arguments.only, slow=arguments.slow))


async def measure(
    collections: Sequence[Collection], sizes: Sequence[int], parts: Sequence[str], *, slow: bool
) -> None:
    """Runs the parts, one after the other."""
    CACHE.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    if "ingestion" in parts:
        await ingestion(collections[0], _CONSOLE)
    if not set(parts) & set(_MEASURED):
        return
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        data = [_real(collections, max(sizes), Path(folder))]
        if slow:
            data.append(_synthetic(data[0], Path(folder)))
        for each in data:
            counts = [size for size in sizes if size <= each.size] if each.kind == "real" else [each.size]
            for part in parts:
                if part in _MEASURED:
                    rows += await _MEASURED[part](each, counts, Path(folder) / "shard")
    _write(rows)


async def quantization(data: Data, counts: Sequence[int], folder: Path) -> list[Row]:
    """Each preset at each oversampling, scanned: as ingestion leaves the shard and once it is optimized, since some
    codes are made only then."""
    rows: list[Row] = []
    with Progress(console=_CONSOLE, transient=True) as progress:
        task = progress.add_task("quantization", total=len(Quantization) * len(counts))
        for preset in Quantization:
            async with shard(folder, preset, graph=False) as there:
                before = 0
                for count in counts:
                    await there.insert(data.path, before, count)
                    before = count
                    tried = _OVERSAMPLING if preset is not Quantization.NONE else (1.0,)
                    rows += [await measured(there, data, count, (preset, SCAN), each) for each in tried]
                    progress.advance(task)
                await there.optimize()
                rows += [await measured(there, data, count, (preset, OPTIMIZED), each) for each in tried]
    _print(f"quantization, scanned, {data.kind}", rows)
    _judge(rows)
    plots.recall_by_time(rows, CACHE / "plots" / f"quantization-{data.kind}.png")
    return rows


async def graph(data: Data, counts: Sequence[int], folder: Path) -> list[Row]:
    """Scan and graph of the same vectors, and how long the graph takes to build."""
    rows: list[Row] = []
    sizes = [size for size in _GRAPH_SIZES if size <= max(counts)] if data.kind == "real" else list(counts)
    built = Table("vectors", "preset", "in the graph", "optimize(), s", "no other thread ran for, s")
    with Progress(console=_CONSOLE, transient=True) as progress:
        task = progress.add_task("graph", total=len(sizes) * len(_GRAPH_PRESETS))
        for preset in _GRAPH_PRESETS:
            for count in sizes:
                async with shard(folder, preset, graph=True) as there:
                    await there.insert(data.path, 0, count)
                    rows.append(await measured(there, data, count, (preset, SCAN)))
                    took = await there.optimize()
                    built.add_row(
                        f"{count:,}",
                        preset,
                        _shown(took.indexed),
                        _shown(took.seconds),
                        _shown(took.longest_gap),
                    )
                    if took.indexed:
                        rows.append(await measured(there, data, count, (preset, GRAPH)))
                progress.advance(task)
    _print(f"scan and graph, {data.kind}", rows)
    _CONSOLE.print(built)
    for preset in _GRAPH_PRESETS:
        _CONSOLE.print(f"{preset}: {_crossing(rows, preset)}")
    plots.scan_and_graph(rows, CACHE / "plots" / f"graph-{data.kind}.png")
    return rows


async def acorn(data: Data, counts: Sequence[int], folder: Path) -> list[Row]:
    """Filtered searches on a graph, with ACORN and without, floats."""
    count, rows = max(counts), []
    random = np.random.default_rng(0)
    held = {name: random.random(count) < share for name, share in SHARES.items()}
    async with shard(folder, Quantization.NONE, graph=True, full_scan_kb=_FORCED) as there:
        with _CONSOLE.status("acorn: building"):
            await there.insert(data.path, 0, count, {name: has.tolist() for name, has in held.items()})
            await there.optimize()
        for name, fields in _FILTERS.items():
            passing = np.logical_and.reduce([held[field] for field in fields])
            for on in (False, True):
                filter_ = (f"{name} ({passing.mean():.1%})", fields)
                rows.append(
                    await measured(there, data, count, ("none", GRAPH), 1.0, filter_, passing, acorn=on)
                )
    _print(f"filters on a graph, ACORN off and on, {data.kind}", rows)
    return rows


async def memory(data: Data, counts: Sequence[int], folder: Path) -> list[Row]:
    """Bytes of each kind of vector, computed and measured."""
    _CONSOLE.print(await footprint.table(data, max(counts), folder))
    return []


def _real(collections: Sequence[Collection], most: int, folder: Path) -> Data:
    windows, asked = encoded(collections, most)
    return Data(windows, asked, saved(windows.vectors, folder / "real.npy"), "real")


def _synthetic(real: Data, folder: Path) -> Data:
    vectors = resampled(real.windows.vectors, 1_000_000)
    documents = [*real.windows.documents, *[""] * (len(vectors) - real.size)]
    return Data(
        Windows(vectors, documents), real.asked, saved(vectors, folder / "synthetic.npy"), "synthetic"
    )


def _crossing(rows: Sequence[Row], preset: str) -> str:
    """The number of vectors from which on the graph answers sooner."""
    times = {(row.vectors, row.index): row.p50_ms for row in rows if row.preset == preset}
    sizes = sorted({size for size, _ in times})
    ahead = [size for size in sizes if times.get((size, GRAPH), math.inf) < times[size, SCAN]]
    steady = [size for size in ahead if all(larger in ahead for larger in sizes if larger > size)]
    return f"the graph is faster from {steady[0]:,} vectors on" if steady else "the scan is faster throughout"


def _judge(rows: Sequence[Row]) -> None:
    for row in rows:
        if row.preset.startswith("binary") and row.oversampling == _DEFAULT_OVERSAMPLING:
            verdict = "pass" if min(row.recall, row.ndcg) >= _KEPT else "FAIL"
            _CONSOLE.print(
                f"{row.preset}, {row.index}, {row.vectors:,} {row.data} vectors, oversampling {row.oversampling:g}:"
                f" keeps {row.recall:.1%} of recall@10, {row.ndcg:.1%} of nDCG@10: {verdict} (at least {_KEPT:.0%})"
            )


def _print(title: str, rows: Sequence[Row]) -> None:
    same = {name for name in _SETTINGS if len({getattr(row, name) for row in rows}) == 1}
    names = [name for name in Row.names() if name not in same]
    table = Table(*names, title=title)
    for row in rows:
        table.add_row(*(_shown(getattr(row, name)) for name in names))
    _CONSOLE.print(table)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if value >= 1 else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _write(rows: Sequence[Row]) -> None:
    path = CACHE / "retrieval.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(Row.names())
        writer.writerows([getattr(row, name) for name in Row.names()] for row in rows)
    _CONSOLE.print(f"rows: {path}")


_MEASURED: dict[str, Callable[[Data, Sequence[int], Path], Awaitable[list[Row]]]] = {
    "quantization": quantization,
    "graph": graph,
    "acorn": acorn,
    "memory": memory,
}
_PARTS = (*_MEASURED, "ingestion")


if __name__ == "__main__":
    main()
