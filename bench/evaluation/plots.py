"""Pictures of the numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from evaluation.measures import Interval
from evaluation.measuring import Row

mpl.use("agg")
from matplotlib import pyplot as plt


def differences(found: Mapping[str, Mapping[str, Interval]], than: str, path: Path) -> None:
    """For each collection how much better a stage is than each other one, with its interval."""
    figure, axes = plt.subplots(
        1, len(found), figsize=(3 * len(found) + 1, 2.6), sharey=True, sharex=True, squeeze=False
    )
    for axis, (collection, by_stage) in zip(axes[0], found.items(), strict=True):
        for row, interval in enumerate(reversed(list(by_stage.values()))):
            colour = "tab:green" if interval.low > 0 else "tab:red" if interval.high < 0 else "tab:gray"
            axis.plot([interval.low, interval.high], [row, row], color=colour, linewidth=2)
            axis.plot(interval.mean, row, "o", color=colour)
        axis.axvline(0, color="black", linewidth=0.8)
        axis.set_title(collection, fontsize=10)
        axis.set_yticks(range(len(by_stage)), list(by_stage)[::-1])
        axis.set_ylim(-0.5, len(by_stage) - 0.5)
    figure.suptitle(f"nDCG@10, {than} minus …, 95 % interval", fontsize=10)
    _save(figure, path)


def recall_by_time(rows: Sequence[Row], path: Path) -> None:
    """Each preset's recall and median time, a point for each oversampling."""
    sizes = sorted({row.vectors for row in rows})
    figure, axes = plt.subplots(1, len(sizes), figsize=(4.5 * len(sizes), 3.4), sharey=True, squeeze=False)
    for axis, size in zip(axes[0], sizes, strict=True):
        for preset, index in dict.fromkeys((row.preset, row.index) for row in rows if row.vectors == size):
            points = [row for row in rows if (row.vectors, row.preset, row.index) == (size, preset, index)]
            label = f"{preset}, {index}"
            axis.plot([row.p50_ms for row in points], [row.recall for row in points], "o-", label=label)
            for row in points:
                axis.annotate(f"×{row.oversampling:g}", (row.p50_ms, row.recall), fontsize=7)
        axis.set_title(f"{size:,} {rows[0].data} vectors", fontsize=10)
        axis.set_xlabel("p50, ms")
    axes[0][0].set_ylabel("recall@10")
    axes[0][-1].legend(fontsize=8)
    _save(figure, path)


def scan_and_graph(rows: Sequence[Row], path: Path) -> None:
    """Median time by number of vectors."""
    figure, axis = plt.subplots(figsize=(5, 3.4))
    for preset, index in dict.fromkeys((row.preset, row.index) for row in rows):
        points = [row for row in rows if (row.preset, row.index) == (preset, index)]
        style = "--" if index == "scan" else "-"
        axis.plot(
            [row.vectors for row in points],
            [row.p50_ms for row in points],
            f"o{style}",
            label=f"{preset}, {index}",
        )
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel(f"{rows[0].data} vectors")
    axis.set_ylabel("p50, ms")
    axis.legend(fontsize=8)
    _save(figure, path)


def time_by_length(
    measured: Mapping[str, Sequence[float]], shares: Sequence[int], budgets: Mapping[str, float], path: Path
) -> None:
    """Milliseconds at some percentiles by the length of a text, and what they may be."""
    figure, axis = plt.subplots(figsize=(6, 3.6))
    names = list(measured)
    for row, share in enumerate(shares):
        axis.plot(range(len(names)), [measured[name][row] for name in names], "o-", label=f"p{share}")
    for name, budget in budgets.items():
        at = names.index(name)
        axis.plot([at - 0.3, at + 0.3], [budget, budget], color="black", linewidth=1.5)
        axis.annotate(f"≤ {budget:g}", (at, budget), fontsize=7, xytext=(0, 3), textcoords="offset points")
    axis.set_xticks(range(len(names)), names)
    axis.set_xlabel("tokens")
    axis.set_ylabel("ms, one core")
    axis.set_yscale("log")
    axis.legend(fontsize=8)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    plt.close(figure)
