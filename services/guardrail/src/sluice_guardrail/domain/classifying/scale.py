"""From a classifier's logit to the scale that policies are written in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: Share of harmless texts that reach a score, and that score.
ANCHORS = ((0.05, 0.1), (0.01, 0.3), (0.001, 0.5))
_SCORES = tuple(score for _, score in ANCHORS)
#: A text of more windows is scored as one of so many: padding must not hide an attack without end.
MOST_WINDOWS = 32


@dataclass(frozen=True, slots=True)
class Scale:
    """One channel's."""

    logits: tuple[float, ...]
    """Of each of `ANCHORS`, ascending, in a text of one window."""
    growth: float = 0.0
    """A text is worth the highest of its windows, and the highest of many is higher than that of few: by this much
    times the natural logarithm of their number, in harmless texts."""

    def scores(
        self,
        logits: Sequence[float] | npt.NDArray[np.float32],
        totals: Sequence[int] | npt.NDArray[np.intp] = (),
    ) -> list[float]:
        """The scores, 0 to 1: straight lines between the anchors, and beyond them curves that never level off, so that
        scores order the windows of a text as the logits do.

        Args:
            totals: For each, how many windows its text has; one where none are given.
        """
        values = np.asarray(logits, np.float64)
        if len(totals):
            values = values - self.growth * grown(totals)
        low, high = self.logits[0], self.logits[-1]
        between = np.interp(values, self.logits, _SCORES)
        below = _SCORES[0] / (1.0 + np.maximum(low - values, 0.0))
        above = 1.0 - (1.0 - _SCORES[-1]) / (1.0 + np.maximum(values - high, 0.0))
        scores = np.where(values < low, below, np.where(values > high, above, between))
        return [float(score) for score in scores]


def grown(totals: Sequence[int] | npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """What `Scale.growth` is multiplied with, for numbers of windows."""
    logarithms: npt.NDArray[np.float64] = np.log(np.clip(np.asarray(totals, np.float64), 1, MOST_WINDOWS))
    return logarithms
