"""Pictures of the numbers."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from evaluation.measures import Interval

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


def _save(figure: Figure, path: Path) -> None:
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    plt.close(figure)
