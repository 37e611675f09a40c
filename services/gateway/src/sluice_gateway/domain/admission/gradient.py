"""How many runs may go on at once, learnt from how long they take. Pure.

After Netflix's gradient limits (concurrency-limits; "Performance Under Load", 2018): while runs take about as long as
they do without load, the limit grows by the root of itself; where they take longer, it shrinks by the ratio. The
no-load time is kept for each kind of run (`baselines`), as kinds differ more than load does. It can only be learnt
while there is little load, so a limit that has long been full is probed, as Envoy's adaptive concurrency does: it is
halved for a window, and again for as long as that makes runs quicker. What was seen then is the no-load time, and the
limit is as it was.
"""

import math
from dataclasses import dataclass

#: Runs may take this much longer than without load before the limit shrinks.
_TOLERANCE = 1.5

#: How far one window may move the limit.
_SMOOTHING = 0.4
_STEEPEST = 0.5

#: More than this part of a window's runs failed for want of time or capacity: the limit backs off.
_FAILURES = 0.1
_BACK_OFF = 0.8

#: Windows of a full limit without any of little load, before it is probed; fewer at the start, when nothing is known.
_UNSURE = 60
_UNSURE_AT_START = 10

#: Halving the limit makes runs quicker, where they take less than this part of the time.
_QUICKER = 0.75


@dataclass(frozen=True, slots=True)
class Window:
    """What was seen in a while."""

    ratio: float
    """The median of times over no-load times."""
    peak: int
    """The most runs at the same time."""
    failures: float = 0.0
    """The part of runs that failed for want of time or capacity."""


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
    """The last window's."""

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
        return peak <= max(1.0, self.limit / 8)

    def update(self, window: Window) -> None:
        """Moves the limit after a window."""
        before, self._ratio = self._ratio, window.ratio
        if self.is_probing:
            self._probed(is_quicker=window.ratio < _QUICKER * before)
            return
        if self.is_little(window.peak):
            self._full = 0
        elif window.peak >= self.current:
            self._full += 1
        if self._full >= _UNSURE and self.limit > self.lowest:
            self._full, self.probing_from = 0, self.limit
            self._set(self.limit / 2)
            return
        if window.failures > _FAILURES:
            self._set(self.limit * _BACK_OFF)
            return
        gradient = max(_STEEPEST, min(1.0, _TOLERANCE / window.ratio))
        wanted = self.limit * gradient + math.sqrt(self.limit)
        if wanted > self.limit and window.peak * 2 < self.limit:
            return  # nobody needs more: what it could be cannot be learnt
        self._set(self.limit + _SMOOTHING * (wanted - self.limit))

    def _probed(self, *, is_quicker: bool) -> None:
        if is_quicker and self.limit > self.lowest:
            self._ratio = 1.0  # the no-load time is what has just been seen
            self._set(self.limit / 2)
        else:
            self._set(self.probing_from)
            self.probing_from = 0.0
            self._ratio = 1.0

    def _set(self, limit: float) -> None:
        self.limit = max(float(self.lowest), min(float(self.highest), limit))
