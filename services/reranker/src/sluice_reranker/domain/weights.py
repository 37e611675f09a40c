"""What each feature is worth; fitted by tools/train_reranker.py."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from sluice_reranker.domain.features import NAMES
from sluice_reranker.domain.reading import Floats


@dataclass(frozen=True, slots=True)
class Weights:
    """A logistic regression: the log-odds that a candidate answers are the weighted sum of its features, and a bias."""

    name: str
    by_feature: Mapping[str, float]
    bias: float

    @classmethod
    def read(cls, text: str) -> "Weights":
        """From JSON.

        Raises:
            ValueError: it is of other features.
        """
        row = json.loads(text)
        if set(row["weights"]) != set(NAMES):
            raise ValueError(f"weights of other features: {sorted(set(row['weights']) ^ set(NAMES))}")
        return cls(
            str(row["name"]), {name: float(row["weights"][name]) for name in NAMES}, float(row["bias"])
        )

    def written(self) -> str:
        """As JSON."""
        row = {"name": self.name, "bias": round(self.bias, 4), "weights": {}}
        weights = {name: round(self.by_feature[name], 4) for name in NAMES}
        return json.dumps(row | {"weights": weights}, indent=2) + "\n"

    def relevance(self, features: Floats) -> Floats:
        """The probability that each row's candidate answers, 0 to 1; shape (candidates,)."""
        odds = features @ np.array([self.by_feature[name] for name in NAMES]) + self.bias
        relevance: Floats = 1.0 / (1.0 + np.exp(-np.clip(odds, -30.0, 30.0)))
        return relevance


SHIPPED = Weights.read(files("sluice_reranker").joinpath("assets/ranker.json").read_text(encoding="utf-8"))
