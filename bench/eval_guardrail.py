"""How well the guardrail tells attacks from harmless texts, on sources that it has not been trained on.

    make eval-guardrail DATA=folder [ARGS="--skip loso"]
    .venv/bin/python bench/eval_guardrail.py --data FOLDER [--skip loso lengths policy grounding variants]

FOLDER holds the sources that `tools/guardrail_training/manifest.yaml` lists; those that are not there are left out.

1. The built-in classifier with one source left out at a time, trained anew on the others.
2. The same on harmless texts, by their length.
3. The shipped policy as a whole, rules and classifier, on sources that no weight was fitted on; over-defense beside it.
4. The score for unsupported claims.
5. Thirty variants of attacks, and harmless twins.
6. Every classifier in a folder that SLUICE_GUARD_MODELS names (parted by colons), with its calibration
   as a policy takes it.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from evaluation import guardrail_models
from evaluation.groundedness import groundedness_tables, print_tables
from evaluation.guardrail_lengths import lengths_table
from evaluation.guardrail_plots import left_out_plot, recall_plot
from evaluation.guardrail_policy import default_screener
from evaluation.guardrail_screening import found, screened
from guardrail_training.card import left_out_table
from guardrail_training.fitting import Settings
from guardrail_training.leaving_out import leave_out
from guardrail_training.preparing import prepare
from guardrail_training.reading import Example, read_all
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from sluice_guardrail.domain.classifying.builtin import BuiltInClassifier
from sluice_guardrail.domain.normalising.folding import fold
from sluice_guardrail.domain.screening import Screener
from sluice_minilm.model import MiniLm

_IMAGES = Path(__file__).parents[1] / "docs/images"
_PARTS = ("loso", "lengths", "policy", "grounding", "variants", "models")
_CONSOLE = Console(width=130)


def main() -> None:
    """Runs the parts and prints their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--most", type=int, default=400, help="texts of a source that the whole policy screens"
    )
    parser.add_argument("--skip", nargs="*", choices=_PARTS, default=[])
    parser.add_argument("--plots", action="store_true", help="write docs/images/guardrail-*.png")
    arguments = parser.parse_args()
    wanted = [part for part in _PARTS if part not in arguments.skip]
    screener = default_screener()
    examples = read_all(arguments.data)
    if "loso" in wanted:
        _leave_out(arguments.data, plots=arguments.plots)
    if "lengths" in wanted:
        _lengths(examples)
    if "policy" in wanted:
        _policy(screener, examples, arguments.most, plots=arguments.plots)
    if "grounding" in wanted:
        print_tables(groundedness_tables(arguments.data / "guardrails"))
    if "variants" in wanted:
        _variants(screener)
    if "models" in wanted:
        _models(examples, os.environ.get("SLUICE_GUARD_MODELS", ""))


def _leave_out(data: Path, *, plots: bool) -> None:
    with threadpool_limits(1):
        rows = list(leave_out(prepare(data), Settings()))
    print("The built-in classifier, one source left out at a time\n")
    print(left_out_table(rows))
    if plots:
        left_out_plot(rows, _IMAGES / "guardrail-left-out.png")


def _lengths(examples: Sequence[Example]) -> None:
    table = _table("Harmless texts, classifier alone", "channel", "characters", "n", "flagged", "blocked")
    for row in lengths_table(BuiltInClassifier(MiniLm()), examples):
        characters = f"{row.characters[0]} to {row.characters[1]}{', joined' if row.joined else ''}"
        table.add_row(row.channel, characters, str(row.flagged.of), str(row.flagged), str(row.blocked))
    _CONSOLE.print(table)


def _policy(screener: Screener, examples: Sequence[Example], most: int, *, plots: bool) -> None:
    sources = screened(screener, examples, most)
    table = _table(
        "The shipped policy as a whole", "source", "channel", "texts", "n", "blocked", "flagged or blocked"
    )
    for each in sources:
        kind = "attacks" if each.attack else f"harmless ({each.role})"
        table.add_row(
            each.name, each.channel, kind, str(each.blocked.of), str(each.blocked), str(each.flagged)
        )
    _CONSOLE.print(table)
    rows = found(sources)
    table = _table("Attacks beside harmless texts of their channel", "source", "AUC", "recall at 1 %")
    for row in rows:
        table.add_row(row.source.name, f"{row.area:.3f}", str(row.at_one_percent))
    _CONSOLE.print(table)
    if plots:
        recall_plot(sources, _IMAGES / "guardrail-recall.png")


def _variants(screener: Screener) -> None:
    if find_spec("evaluation.guardrail_variants") is None:
        return
    from evaluation.guardrail_variants import screened_by, variants_table

    table = _table(
        "Variants of attacks, and their harmless twins", "variant", "attacks", "caught", "twins", "alarms"
    )
    for row in variants_table(screened_by(screener)):
        counts = (row.attacks, row.caught, row.harmless, row.alarms)
        table.add_row(f"{row.variant} {row.name}", *(str(count) for count in counts))
    _CONSOLE.print(table)


def _models(examples: Sequence[Example], paths: str) -> None:
    results = [guardrail_models.judged(BuiltInClassifier(MiniLm()), fold, examples)]
    results += [guardrail_models.folder(path, examples) for path in guardrail_models.folders(paths)]
    table = _table(
        "Classifiers alone, at 1 % of harmless users' texts", "set", *(each.name for each in results)
    )
    for rows in zip(*(each.rows for each in results), strict=True):
        cells = [
            f"{row.at_one_percent}" + (f", AUC {row.area:.3f}" if row.area is not None else "")
            for row in rows
        ]
        table.add_row(rows[0].name, *cells)
    _CONSOLE.print(table)
    for each in results[1:]:
        low, high = each.calibration
        print(f'{each.name}:\n  calibration:\n    "*": [{low:.6g}, {high:.6g}]')


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


if __name__ == "__main__":
    main()
