"""What the trained weights make of a window."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sluice_guardrail.domain.classifying.ngrams import NGrams
from sluice_guardrail.domain.classifying.weights import Weights, quantised
from sluice_guardrail.domain.model import Channel

Floats = npt.NDArray[np.float32]

#: Which head reads a channel. What a user may ask is an attack where it stands in a document.
USER, DOCUMENT = "user", "document"
HEADS = {Channel.USER: USER, Channel.OUTPUT: USER, Channel.DOCUMENT: DOCUMENT, Channel.TOOL: DOCUMENT}


@dataclass(frozen=True, slots=True)
class Head:
    """Reads n-grams and embeddings; their logits are added up."""

    ngrams: Floats
    """Shape (buckets,)."""
    hidden: Floats
    """Shape (384, units)."""
    hidden_bias: Floats
    output: Floats
    """Shape (units,)."""
    bias: float
    """Of both together."""

    @classmethod
    def of(cls, weights: Weights, name: str) -> Self:
        """One head of a model's file."""
        return cls(
            weights.floats(f"{name}.ngrams"),
            weights.floats(f"{name}.hidden"),
            weights.floats(f"{name}.hidden_bias"),
            weights.floats(f"{name}.output"),
            float(weights.floats(f"{name}.bias")),
        )

    def arrays(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """As they are stored."""
        return {
            **quantised(f"{name}.ngrams", self.ngrams),
            f"{name}.hidden": self.hidden.astype(np.float16),
            f"{name}.hidden_bias": self.hidden_bias.astype(np.float16),
            f"{name}.output": self.output.astype(np.float16),
            f"{name}.bias": np.array(self.bias, np.float16),
        }

    def logits(self, embeddings: Floats, ngrams: NGrams, windows: Sequence[str]) -> Floats:
        """Shape (windows,)."""
        units = np.maximum(embeddings @ self.hidden + self.hidden_bias, 0.0)
        logits: Floats = units @ self.output + ngrams.sums(windows, self.ngrams) + np.float32(self.bias)
        return logits
