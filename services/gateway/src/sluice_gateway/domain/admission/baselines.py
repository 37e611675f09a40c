"""How long runs of each kind take without load, and of late. Pure."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

#: How much of a window's median goes into the no-load time: where it is quicker, or slower under little load; and where
#: it is slower under more. Too quick a fall would follow chance, too quick a rise would take load for normal.
_FOLLOW = 0.1
_DRIFT = 0.003


@dataclass(frozen=True, slots=True)
class Sample:
    """How long one run took."""

    kind: str
    seconds: float


@dataclass(slots=True)
class _Kind:
    no_load: float = math.inf
    quick: float = 0.0
    """One of ten runs of the last window took no longer."""
    typical: float = 0.0


@dataclass(slots=True)
class Baselines:
    """The no-load time of each kind of run."""

    _kinds: dict[str, _Kind] = field(default_factory=lambda: defaultdict(_Kind))

    def read(self, samples: Sequence[Sample], *, little_load: bool, probing: bool = False) -> float:
        """Learns from a window; gives the median of the samples' times over the no-load times before it, 1 for a kind
        that was not known. What a probe finds to be quicker holds at once."""
        by_kind: dict[str, list[float]] = defaultdict(list)
        for sample in samples:
            by_kind[sample.kind].append(max(sample.seconds, 1e-6))
        ratios: list[float] = []
        for name, seconds in by_kind.items():
            kind = self._kinds[name]
            ratios += [second / kind.no_load if kind.no_load < math.inf else 1.0 for second in seconds]
            kind.typical, kind.quick = median(seconds), sorted(seconds)[len(seconds) // 10]
            kind.no_load = _moved(kind.no_load, kind.typical, little_load=little_load, probing=probing)
        return median(ratios)

    def quickest(self, kind: str) -> float:
        """Seconds that nine of ten runs of a kind take at least, of late; 0 where nothing is known."""
        return self._kinds[kind].quick if kind in self._kinds else 0.0

    def typical(self, kind: str) -> float:
        """Seconds that runs of a kind take of late; 0 where nothing is known."""
        return self._kinds[kind].typical if kind in self._kinds else 0.0


def _moved(no_load: float, seen: float, *, little_load: bool, probing: bool) -> float:
    if no_load == math.inf or (probing and seen < no_load):
        return seen
    part = _FOLLOW if little_load or seen < no_load else _DRIFT
    return no_load + part * (seen - no_load)
