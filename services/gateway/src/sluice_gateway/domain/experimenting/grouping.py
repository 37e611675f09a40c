"""How much less many runs of few units say than as many runs of as many units. Pure.

A user's runs are alike, and all of them are in one arm: who takes runs for independent takes a difference between users
for one between arms. Units are put into groups by their hash, and how far the groups' sums lie apart says how far an
arm's number would, had other users been dealt to it (random groups; Wolter 2007, chapter 2).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Groups that units are put into.
GROUPS = 32

#: With fewer groups their spread says nothing.
_FEWEST = 4


@dataclass(slots=True)
class Groups:
    """Count and sum of numbers, by group of units; two of them add up."""

    sums: dict[int, tuple[int, float]] = field(default_factory=dict)

    def add(self, group: int, value: float) -> None:
        """Takes a number in."""
        count, total = self.sums.get(group, (0, 0.0))
        self.sums[group] = (count + 1, total + value)

    def merge(self, sums: Mapping[int, tuple[int, float]]) -> None:
        """Takes in what another has seen."""
        for group, (count, total) in sums.items():
            known = self.sums.get(group, (0, 0.0))
            self.sums[group] = (known[0] + count, known[1] + total)

    def design_effect(self, variance: float) -> float:
        """By what the mean's variance is greater than if all numbers were independent; 1 at least (Kish 1965).

        Args:
            variance: Of single numbers.
        """
        groups, count = len(self.sums), sum(count for count, _ in self.sums.values())
        if not groups or not variance:
            return 1.0
        if groups < _FEWEST:
            return float(count)
        mean = sum(total for _, total in self.sums.values()) / count
        spread = sum((total - mean * own) ** 2 for own, total in self.sums.values()) / (count * count)
        # A sample's variance is by groups - 1; Student's, (groups - 1) / (groups - 3), is for how badly few tell it.
        among = spread * groups / (groups - 3)
        return min(float(count), max(1.0, among / (variance / count)))
