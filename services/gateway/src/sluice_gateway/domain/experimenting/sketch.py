"""Numbers of many runs in little space, that add up over replicas. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Relative error of a quantile.
ACCURACY = 0.01
_GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_LOG_GAMMA = math.log(_GAMMA)

#: Values outside are counted as these: at most 1,151 bins.
_LEAST, _MOST = 1e-4, 1e6


@dataclass(slots=True)
class Moments:
    """Count, mean and spread of numbers (Welford 1962); two of them add up exactly (Chan et al. 1979)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    """The sum of squared distances from the mean."""

    def add(self, value: float) -> None:
        """Takes a number in."""
        self.count += 1
        distance = value - self.mean
        self.mean += distance / self.count
        self.squares += distance * (value - self.mean)

    def merge(self, other: "Moments") -> None:
        """Takes in what another has seen."""
        if not other.count:
            return
        count = self.count + other.count
        distance = other.mean - self.mean
        self.squares += other.squares + distance * distance * self.count * other.count / count
        self.mean += distance * other.count / count
        self.count = count

    @property
    def variance(self) -> float:
        """Of the sample; 0 where there are fewer than two."""
        return self.squares / (self.count - 1) if self.count > 1 else 0.0


@dataclass(slots=True)
class Sketch:
    """Quantiles of positive numbers within 1 % of their value: counts in bins of a fixed logarithmic scale, so that
    sketches add up bin by bin (DDSketch; Masson, Rim and Lee 2019, arXiv:1908.10693)."""

    bins: dict[int, int] = field(default_factory=dict)

    def add(self, value: float) -> None:
        """Takes a number in."""
        index = math.ceil(math.log(min(max(value, _LEAST), _MOST)) / _LOG_GAMMA)
        self.bins[index] = self.bins.get(index, 0) + 1

    def merge(self, bins: Mapping[int, int]) -> None:
        """Takes in what another has seen."""
        for index, count in bins.items():
            self.bins[index] = self.bins.get(index, 0) + count

    @property
    def count(self) -> int:
        """How many numbers."""
        return sum(self.bins.values())

    def quantile(self, share: float) -> float:
        """The number that the share of all lies below or at; 0 where there is none."""
        rank = min(max(share, 0.0), 1.0) * (self.count - 1)
        seen = 0
        for index in sorted(self.bins):
            seen += self.bins[index]
            if seen > rank:
                return 2 * _GAMMA**index / (_GAMMA + 1)
        return 0.0
