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
    """Two logistic regressions, one on n-grams and one on embeddings; their logits are added up."""

    ngrams: Floats
    """Shape (buckets,)."""
    embeddings: Floats
    """Shape (384,)."""
    bias: float
    """Of both together."""

    @classmethod
    def of(cls, weights: Weights, name: str) -> Self:
        """One head of a model's file."""
        ngrams, embeddings = weights.floats(f"{name}.ngrams"), weights.floats(f"{name}.embeddings")
        return cls(ngrams, embeddings, float(weights.floats(f"{name}.bias")))

    def arrays(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """As they are stored."""
        return {
            **quantised(f"{name}.ngrams", self.ngrams),
            f"{name}.embeddings": self.embeddings.astype(np.float16),
            f"{name}.bias": np.array(self.bias, np.float16),
        }

    def logits(self, embeddings: Floats, ngrams: NGrams, windows: Sequence[str]) -> Floats:
        """Of each window, shape (windows,)."""
        logits: Floats = (
            embeddings @ self.embeddings + ngrams.sums(windows, self.ngrams) + np.float32(self.bias)
        )
        return logits
