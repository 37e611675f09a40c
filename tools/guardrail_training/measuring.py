"""What scores are worth: area under the curve, and recall at stated rates of false alarms."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Values = npt.NDArray[np.float32] | npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Share:
    """A share of so many, with its 95 % interval by Wilson."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """0 to 1."""
        return self.hits / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Low and high end."""
        if not self.of:
            return 0.0, 1.0
        found = stats.binomtest(self.hits, self.of).proportion_ci(0.95, "wilson")
        return float(found.low), float(found.high)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.3f} [{low:.2f}, {high:.2f}]"


def area(attacks: Values, harmless: Values) -> float:
    """The probability that an attack scores above a harmless text; a tie counts half."""
    ranks = stats.rankdata(np.concatenate([attacks, harmless]))[: len(attacks)]
    return float((ranks.sum() - len(attacks) * (len(attacks) + 1) / 2) / (len(attacks) * len(harmless)))


def threshold(harmless: Values, rate: float) -> float:
    """The lowest score that no more than this share of harmless texts is above or at."""
    ordered = np.sort(np.asarray(harmless, np.float64))[::-1]
    allowed = int(rate * len(ordered))
    return float(np.nextafter(ordered[min(allowed, len(ordered) - 1)], np.inf))


def reached(values: Values, least: float) -> Share:
    """How many are at or above."""
    return Share(int((np.asarray(values, np.float64) >= least).sum()), len(values))


def mean(values: Sequence[float]) -> float:
    """Of at least one."""
    return sum(values) / len(values)
