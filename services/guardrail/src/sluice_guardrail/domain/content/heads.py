"""A linear head for each kind of content over the built-in encoder's vectors."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files

import numpy as np
import numpy.typing as npt

from sluice_api.objects.guardrail_policy import ContentCategory
from sluice_minilm.model import Floats

#: Standard deviations above the logits of harmless texts, and the score there.
_DEVIATIONS = (0.0, 1.64, 2.33, 3.09, 6.0)
_SCORES = (0.0, 0.1, 0.3, 0.5, 1.0)


@dataclass(frozen=True)
class Heads:
    """Trained by `tools/train_content.py`."""

    categories: tuple[ContentCategory, ...]
    weights: npt.NDArray[np.float32]
    """Shape (384, categories)."""
    biases: npt.NDArray[np.float32]
    means: npt.NDArray[np.float32]
    """Of the logits of harmless texts, for each category."""
    deviations: npt.NDArray[np.float32]
    version: str

    def scores(self, vectors: Floats) -> Floats:
        """Calibrated scores, shape (texts, categories): 0.5 is what one in a thousand harmless texts reaches, were
        their logits normally distributed."""
        logits = vectors @ self.weights + self.biases
        deviations = (logits - self.means) / self.deviations
        scores: Floats = np.interp(deviations, _DEVIATIONS, _SCORES).astype(np.float32)
        return scores


@cache
def heads() -> Heads:
    """The shipped heads; see `assets/CONTENT.md`."""
    with as_file(files("sluice_guardrail") / "assets" / "content.npz") as path:
        content = path.read_bytes()
        stored = np.load(path)
        return Heads(
            tuple(ContentCategory(str(name)) for name in stored["categories"]),
            stored["weights"].astype(np.float32),
            stored["biases"],
            stored["means"],
            stored["deviations"],
            hashlib.sha256(content).hexdigest()[:12],
        )
