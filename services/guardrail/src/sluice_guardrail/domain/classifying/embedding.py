"""Sentence embeddings of a text's stretches."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sluice_minilm.model import DIMENSION, MiniLm, normalised
from sluice_minilm.tokenizing import load_tokenizer

Floats = npt.NDArray[np.float32]


class Embedding:
    """The built-in encoder's mean over a text's tokens. Thread-safe."""

    def __init__(self, model: MiniLm) -> None:
        self._model = model
        self.tokenizer = load_tokenizer(truncate=False)
        """Of whole texts."""
        self._truncating = load_tokenizer(truncate=True)

    def of(self, texts: Sequence[str]) -> Floats:
        """Rows of length 1, shape (texts, 384).

        Each text goes through the model alone: its 8-bit steps are chosen by all that is in a batch, so that a text
        would score otherwise beside others. On one core a batch is no faster.
        """
        vectors = np.zeros((len(texts), DIMENSION), np.float32)
        for row, encoding in enumerate(self._truncating.encode_batch(list(texts))):
            vectors[row] = self._model.states([encoding])[0].mean(axis=0)
        return normalised(vectors)
