"""Trains the guardrail's built-in classifier of attacks and writes its card.

    make train-guardrail DATA=folder
    .venv/bin/python tools/train_guardrail.py --data FOLDER [--to FOLDER]

FOLDER holds the sources that `guardrail_training/manifest.yaml` lists. On the same machine the same sources give the
same file, byte for byte. What was encoded once is kept in .cache/guardrail.
"""

import argparse
from pathlib import Path

from guardrail_training.card import card
from guardrail_training.fitting import Settings
from guardrail_training.leaving_out import leave_out
from guardrail_training.preparing import prepare
from guardrail_training.shipping import shipped_weights
from threadpoolctl import threadpool_limits

_MODELS = Path(__file__).parents[1] / "services/guardrail/src/sluice_guardrail/models"


def main() -> None:
    """Trains, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--to", type=Path, default=_MODELS)
    parser.add_argument("--no-card", action="store_true", help="do not leave sources out; much faster")
    arguments = parser.parse_args()
    # Sums in another order differ in their last bits: one thread always adds in the same.
    with threadpool_limits(1):
        prepared = prepare(arguments.data)
        weights = shipped_weights(prepared, Settings())
        arguments.to.mkdir(parents=True, exist_ok=True)
        (arguments.to / "injection.npz").write_bytes(weights.written())
        print(f"weights {weights.version}, calibration {weights.threshold_set}")
        for channel, scale in weights.scales.items():
            print(f"  {channel}: {scale}")
        if not arguments.no_card:
            rows = list(leave_out(prepared, Settings()))
            (arguments.to / "CARD.md").write_text(card(prepared, weights, rows, Settings()), encoding="utf-8")


if __name__ == "__main__":
    main()
