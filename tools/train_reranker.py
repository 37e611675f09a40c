"""Fits the embedded ranker's weights, and says what they are worth on collections that they were not fitted on.

    make train-reranker DATA=folder
    .venv/bin/python tools/train_reranker.py --data FOLDER [--to FOLDER]

A collection is stored and searched as a user's would be; what was encoded before is not encoded again. Of each question
the fused candidates are kept with their features. Written are the weights and their card.
"""

import argparse
import asyncio
import hashlib
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress
from threadpoolctl import threadpool_limits

from sluice_reranker.domain.features import NAMES

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
from reranker_training.card import card, table
from reranker_training.fitting import calibrated
from reranker_training.gathering import gather
from reranker_training.leaving_out import leave_out, left_out_reliability, row
from reranker_training.sources import EXPECTED, SOURCES

from sluice_reranker.domain.weights import Weights

_ASSETS = Path(__file__).parents[1] / "services/reranker/src/sluice_reranker/assets"
#: Of another number whenever the features change.
_NAME = "features-3"

_CONSOLE = Console(width=None if sys.stdout.isatty() else 130)


def main() -> None:
    """Gathers, fits, checks, writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXPECTED, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=lambda given: Path(given) if given else None, required=True)
    parser.add_argument("--to", type=Path, default=_ASSETS)
    arguments = parser.parse_args()
    if arguments.data is None or not (arguments.data / "retrieval").is_dir():
        sys.exit(f"no labelled collections: {arguments.data or 'DATA is not set'}\n{EXPECTED}")
    # Sums in another order differ in their last bits: one thread always adds in the same.
    with threadpool_limits(1):
        train(arguments.data, arguments.to)


def train(data: Path, to: Path) -> None:
    """Writes weights and card."""
    sets = {}
    with Progress(console=_CONSOLE) as progress:
        for source in progress.track(SOURCES, description="collections"):
            sets[source.name] = asyncio.run(gather(source.read(data)))
            _CONSOLE.print(f"{source.name}: {len(sets[source.name])} questions")
    fitted = {source.name: sets[source.name] for source in SOURCES if source.ships}
    found, bias = calibrated(fitted)
    weights = Weights(_NAME, dict(zip(NAMES, np.round(found, 4).tolist(), strict=True)), round(bias, 4))
    written = weights.written()
    left_out = leave_out(sets)
    shipped = [
        row(name, asked, {other: fitted[other] for other in fitted if other != name})
        for name, asked in sets.items()
    ]
    for title, rows in (("one of all left out", left_out), ("fitted on what ships", shipped)):
        _CONSOLE.print(title, Markdown(table(rows)))
    to.mkdir(parents=True, exist_ok=True)
    (to / "ranker.json").write_text(written, encoding="utf-8")
    digest = hashlib.sha256(written.encode()).hexdigest()
    text = card(weights, digest, sets, left_out, shipped, left_out_reliability(sets))
    (to / "CARD.md").write_text(text, encoding="utf-8")
    _CONSOLE.print(written, f"SHA-256 {digest}, written to {to}")


if __name__ == "__main__":
    main()
