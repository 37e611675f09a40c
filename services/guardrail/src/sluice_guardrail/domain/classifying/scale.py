"""From a classifier's logit to the scale that policies are written in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: Share of harmless texts that reach a score, and that score.
ANCHORS = ((0.05, 0.1), (0.01, 0.3), (0.001, 0.5))
_SCORES = tuple(score for _, score in ANCHORS)


@dataclass(frozen=True, slots=True)
class Scale:
    """One channel's."""

    logits: tuple[float, ...]
    """Of each of `ANCHORS`, ascending."""

    def scores(self, logits: Sequence[float] | npt.NDArray[np.float32]) -> list[float]:
        """The scores, 0 to 1: straight lines between the anchors, and beyond them curves that never level off, so that
        scores order texts as the logits do."""
        values = np.asarray(logits, np.float64)
        low, high = self.logits[0], self.logits[-1]
        between = np.interp(values, self.logits, _SCORES)
        below = _SCORES[0] / (1.0 + np.maximum(low - values, 0.0))
        above = 1.0 - (1.0 - _SCORES[-1]) / (1.0 + np.maximum(values - high, 0.0))
        scores = np.where(values < low, below, np.where(values > high, above, between))
        return [float(score) for score in scores]
