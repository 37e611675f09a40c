"""How many runs may go on at once, learnt from how long they take. Pure.

After Netflix's gradient limits (concurrency-limits; "Performance Under Load", 2018): while runs take about as long as
they do without load, the limit grows by the root of itself; where they take longer, it shrinks by the ratio. The
no-load time is kept for each kind of run (`baselines`), as kinds differ more than load does. It can only be learnt
while there is little load, so a limit that has long been full is probed, as Envoy's adaptive concurrency does: it is
halved, and again for as long as that makes runs quicker. What is seen then is the no-load time, be it shorter or
longer than what was taken for it, and the limit is as it was.
"""

import math
from dataclasses import dataclass

#: Runs may take this much longer than without load before the limit shrinks.
_TOLERANCE = 1.5

#: How far a cohort may move the limit: up, where runs are about as quick as without load and else; and down, where
#: callers wait too long meanwhile.
_UPWARDS = 1.0
_UPWARDS_SLOWLY = 0.4
_ABOUT = 1.1
_DOWNWARDS = 0.8
_STEEPEST = 0.5

#: By how much a full limit grows that has never been too high, or not so high as it was before runs failed.
_LEAP = 1.5

#: More than this part of a cohort failed for want of time or capacity: the limit backs off.
_FAILURES = 0.1
_BACK_OFF = 0.8

#: Cohorts under a full limit without any under little load, before it is probed; fewer at the start, when nothing is
#: known.
_UNSURE = 60
_UNSURE_AT_START = 10

#: Halving the limit makes runs quicker, where they take less than this part of the time.
_QUICKER = 0.75


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a cohort of runs."""

    ratio: float
    """The median of times over no-load times."""
    peak: int
    """The most runs at the same time."""
    failures: float = 0.0
    """The part of runs that failed for want of time or capacity."""
    error: float = 0.0
    """The standard error of the ratio's logarithm."""


@dataclass(slots=True)
class GradientLimit:
    """The limit.

    Args:
        lowest, highest: What it stays between.
        limit: What it starts with.
    """

    lowest: int
    highest: int
    limit: float
    probing_from: float = 0.0
    """The limit before the probe that goes on; 0 where none does."""
    _full: int = _UNSURE - _UNSURE_AT_START
    _ratio: float = 1.0
    """The last cohort's."""
    _leap_to: float = math.inf
    """Limits below were not too high when they were last tried."""

    @property
    def current(self) -> int:
        """Whole runs."""
        return int(self.limit)

    @property
    def is_probing(self) -> bool:
        """True while little load is made on purpose."""
        return self.probing_from > 0

    def is_little(self, peak: int) -> bool:
        """True where so many runs at the same time are too few to slow each other."""
        return peak <= max(self.lowest, self.limit / 8)

    def is_quicker(self, seen: Seen) -> bool:
        """True where a probe has made runs quicker, beyond what chance does."""
        return seen.ratio * math.exp(2 * seen.error) < _QUICKER * self._ratio

    def update(self, seen: Seen) -> None:
        """Moves the limit after a cohort."""
        if self.is_probing:
            self._probed(seen)
            return
        self._ratio = seen.ratio
        full = seen.peak >= self.current
        self._full = 0 if self.is_little(seen.peak) else self._full + full
        if self._full >= _UNSURE and self.limit > self.lowest:
            self._full, self.probing_from = 0, self.limit
            self._set(self.limit / 2)
        elif seen.failures > _FAILURES:
            self._set(self.limit * _BACK_OFF)
        else:
            self._follow(seen, full=full)

    def _follow(self, seen: Seen, *, full: bool) -> None:
        # Slower than chance makes it: runs differ, and a limit that follows chance only ever shrinks.
        slower = seen.ratio * math.exp(-seen.error)
        gradient = max(_STEEPEST, min(1.0, _TOLERANCE / slower))
        wanted = self.limit * gradient + math.sqrt(self.limit)
        if wanted < self.limit:
            self._set(self.limit + _DOWNWARDS * (wanted - self.limit))
            self._leap_to = self.limit
        elif full and gradient == 1.0 and self.limit < self._leap_to:
            self._set(min(self.limit * _LEAP, self._leap_to))
        elif seen.peak * 2 >= self.limit:  # else nobody needs more, and what it could be cannot be learnt
            step = _UPWARDS if slower < _ABOUT else _UPWARDS_SLOWLY
            self._set(self.limit + step * (wanted - self.limit))

    def _probed(self, seen: Seen) -> None:
        quicker = self.is_quicker(seen)
        self._ratio = 1.0  # what has just been seen is the no-load time, or near it
        if quicker and self.limit > self.lowest:
            self._set(self.limit / 2)
        else:
            self._set(self.probing_from)
            self.probing_from = 0.0

    def _set(self, limit: float) -> None:
        self.limit = max(float(self.lowest), min(float(self.highest), limit))
