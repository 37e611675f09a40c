"""The model's token vectors: what questions and passages are matched by, token with token."""

import hashlib

import numpy as np

from sluice_minilm.model import Floats, MiniLm, normalised
from sluice_minilm.tokenizing import ASSETS

PROJECTION = ASSETS / "token_projection.npy"


class TokenProjection:
    """The principal axes of the model's states, shape (384, 128). Thread-safe."""

    def __init__(self, model: MiniLm) -> None:
        self._axes: Floats = np.load(PROJECTION).astype(np.float32)
        self.model_digest = hashlib.sha256(model.content + self._axes.tobytes()).hexdigest()
        """SHA-256 over the model and the projection: vectors are comparable only within it."""

    def of(self, states: Floats) -> Floats:
        """Vectors of a text's tokens, each of length 1, by its states; [CLS] and [SEP] have none."""
        return normalised(normalised(states[1:-1]) @ self._axes)
