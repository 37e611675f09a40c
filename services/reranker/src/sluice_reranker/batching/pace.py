"""How long reading takes, learned from what was read."""

#: Share of the newest measurement, in the mean and in the deviation.
_MEAN, _DEVIATION = 0.125, 0.25
#: So many mean deviations above the mean are counted on.
_MARGIN = 2.0
#: A measurement counts for so many times the mean at most: a machine that stood still once says little.
_MOST = 4.0


class Pace:
    """Seconds per token: the mean and the mean deviation, as TCP has them for round trips (Jacobson 1988)."""

    def __init__(self, seconds_per_token: float = 0.0) -> None:
        """`seconds_per_token`: the first measurement; nothing is known where it is 0."""
        self._mean = seconds_per_token
        self._deviation = seconds_per_token / 2

    def seconds(self, tokens: int) -> float:
        """What reading so many tokens may take; 0 where nothing is known yet."""
        return tokens * (self._mean + _MARGIN * self._deviation)

    def note(self, seconds: float, tokens: int) -> None:
        """Takes down how long it took."""
        found = seconds / max(1, tokens)
        if not self._mean:
            self._mean, self._deviation = found, found / 2
            return
        found = min(found, _MOST * self._mean)
        self._deviation += _DEVIATION * (abs(found - self._mean) - self._deviation)
        self._mean += _MEAN * (found - self._mean)
