"""The shipped model's card."""

import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import yaml

from guardrail_training.fitting import Settings
from guardrail_training.leaving_out import Prepared, Row
from sluice_guardrail.domain.classifying.scale import ANCHORS
from sluice_guardrail.domain.classifying.weights import Weights

_TEMPLATE = Path(__file__).with_name("card.md")


def card(prepared: Prepared, weights: Weights, rows: Sequence[Row], settings: Settings) -> str:
    """In Markdown: what it is, what it was trained on, and what it finds in sources left out."""
    return _TEMPLATE.read_text(encoding="utf-8").format(
        version=weights.version,
        threshold_set=weights.threshold_set,
        machine=f"{_processor()}, Python {platform.python_version()}, NumPy {np.__version__}",
        settings=settings,
        sources=_sources(prepared),
        scales=_scales(weights),
        left_out=left_out_table(rows),
    )


def left_out_table(rows: Iterable[Row]) -> str:
    """A line for each source."""
    lines = [
        "| source left out | n | AUC | recall at 1 % | recall at 0.1 % | NotInject below the 1 % threshold |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.source} | {row.count} | {row.area:.3f} | {row.at_one_percent} | {row.at_one_permille} "
        f"| {'' if row.over_defense is None else f'{row.over_defense.value:.3f}'} |"
        for row in rows
    ]
    return "\n".join(lines)


def _sources(prepared: Prepared) -> str:
    manifest = yaml.safe_load(Path(__file__).with_name("manifest.yaml").read_text(encoding="utf-8"))
    trained = Counter(prepared.sources[prepared.training()].tolist())
    lines = ["| source | label | licence | role | texts trained on | why |", "|---|---|---|---|---|---|"]
    for label, entries in manifest.items():
        for name, entry in entries.items():
            lines.append(
                f"| {name} | {label} | {entry['licence']} | {entry['role']} | {trained[name] or ''} | {entry['why']} |"
            )
    own = sum(count for name, count in trained.items() if name.startswith("own:"))
    lines.append(
        f"| generated | both | Apache-2.0 | train | {own} | `tools/guardrail_corpus`, written for this project |"
    )
    return "\n".join(lines)


def _scales(weights: Weights) -> str:
    shares = " | ".join(f"{score} ({share:.1%})" for share, score in ANCHORS)
    lines = [f"| channel | {shares} | growth |", "|---|" + "---|" * (len(ANCHORS) + 1)]
    for channel, scale in weights.scales.items():
        lines.append(
            f"| {channel} | " + " | ".join(f"{logit:.2f}" for logit in (*scale.logits, scale.growth)) + " |"
        )
    return "\n".join(lines)


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
