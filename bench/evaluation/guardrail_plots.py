"""Pictures of what the guardrail finds."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from guardrail_training.leaving_out import Row
from guardrail_training.reading import Role

from evaluation.guardrail_screening import Source

mpl.use("agg")
from matplotlib import pyplot as plt


def left_out_plot(rows: Sequence[Row], path: Path) -> None:
    """Recall at 1 % with its interval, a line for each source."""
    _, axis = plt.subplots(figsize=(6, 0.32 * len(rows) + 1))
    for place, row in enumerate(reversed(rows)):
        axis.plot(row.at_one_percent.interval, [place, place], color="tab:blue", linewidth=2)
        axis.plot(row.at_one_percent.value, place, "o", color="tab:blue")
        axis.plot(row.area, place, "|", color="tab:gray", markersize=9)
    axis.set_yticks(range(len(rows)), [row.source for row in reversed(rows)])
    axis.set_xlim(-0.02, 1.02)
    axis.set_title("recall at 1 % false alarms (●, 95 %), AUC (|); source left out", fontsize=9)
    _save(path)


def recall_plot(sources: Sequence[Source], path: Path) -> None:
    """Recall of each attack source by the rate of false alarms on its channel's calibration texts."""
    _, axis = plt.subplots(figsize=(6, 3.6))
    for source in sources:
        harmless = [
            each.scores
            for each in sources
            if not each.attack and each.channel is source.channel and each.role is Role.CALIBRATE
        ]
        if not source.attack or not harmless:
            continue
        ordinary = np.concatenate(harmless)
        limits = np.unique(np.concatenate([ordinary, source.scores]))[::-1]
        rates = [(ordinary >= limit).mean() for limit in limits]
        axis.plot(rates, [(source.scores >= limit).mean() for limit in limits], label=source.name)
    axis.set_xscale("log")
    axis.set_xlim(3e-4, 1)
    axis.set_xlabel("false alarms")
    axis.set_ylabel("recall")
    axis.legend(fontsize=7)
    _save(path)


def _save(path: Path) -> None:
    plt.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    plt.savefig(path, dpi=80)
    plt.close()
