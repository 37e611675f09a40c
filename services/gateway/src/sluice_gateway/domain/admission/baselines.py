"""How long runs of each kind take without load, and of late. Pure."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev

#: How much of a cohort's median goes into the no-load time: where it is quicker beyond chance; where it is quicker, or
#: slower under little load; and where it is slower under more. Too quick a fall would follow chance, too quick a rise
#: would take load for normal.
_BELIEVE = 0.5
_FOLLOW = 0.1
_DRIFT = 0.003

#: A median's standard error over a mean's.
_OF_MEDIAN = 1.25


@dataclass(frozen=True, slots=True)
class Sample:
    """How long one run took."""

    kind: str
    seconds: float


@dataclass(slots=True)
class _Kind:
    no_load: float = math.inf
    quick: float = 0.0
    """One of ten runs of the last cohort took no longer."""
    typical: float = 0.0


@dataclass(slots=True)
class Baselines:
    """The no-load time of each kind of run."""

    _kinds: dict[str, _Kind] = field(default_factory=lambda: defaultdict(_Kind))

    def ratio(self, samples: Sequence[Sample], unfinished: int = 0) -> tuple[float, float]:
        """The median of times over no-load times, 1 for a kind that is not known; and the standard error of its
        logarithm.

        Args:
            unfinished: Further runs, which will have taken longer than most of these.
        """
        ratios = [self._ratio(sample) for sample in samples]
        return _quantile(ratios, 0.5, unfinished), _error(ratios)

    def follow(self, samples: Sequence[Sample], unfinished: int = 0, *, little_load: bool) -> None:
        """Learns from a cohort."""
        for kind, seconds in _by_kind(samples).items():
            known = self._kinds[kind]
            rest = round(unfinished * len(seconds) / len(samples))
            known.typical = _quantile(seconds, 0.5, rest)
            known.quick = _quantile(seconds, 0.1, rest)
            if known.no_load == math.inf:
                known.no_load = known.typical
            part = _FOLLOW if little_load or known.typical < known.no_load else _DRIFT
            if known.typical * math.exp(3 * _error(seconds)) < known.no_load:
                part = _BELIEVE
            known.no_load += part * (known.typical - known.no_load)

    def replace(self, samples: Sequence[Sample], unfinished: int = 0) -> None:
        """Takes a cohort for what there is without load."""
        for kind, seconds in _by_kind(samples).items():
            rest = round(unfinished * len(seconds) / len(samples))
            self._kinds[kind].no_load = _quantile(seconds, 0.5, rest)

    def quickest(self, kind: str) -> float:
        """Seconds that nine of ten runs of a kind take at least, of late; 0 where nothing is known."""
        return self._kinds[kind].quick if kind in self._kinds else 0.0

    def typical(self, kind: str) -> float:
        """Seconds that runs of a kind take of late; 0 where nothing is known."""
        return self._kinds[kind].typical if kind in self._kinds else 0.0

    def _ratio(self, sample: Sample) -> float:
        known = self._kinds.get(sample.kind)
        return 1.0 if known is None else sample.seconds / known.no_load


def _by_kind(samples: Sequence[Sample]) -> dict[str, list[float]]:
    by_kind: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        by_kind[sample.kind].append(sample.seconds)
    return by_kind


def _error(values: Sequence[float]) -> float:
    """The standard error of the logarithm of their median."""
    return _OF_MEDIAN * pstdev([math.log(value) for value in values]) / math.sqrt(len(values))


def _quantile(values: Sequence[float], part: float, more: int) -> float:
    """The quantile of the values and of `more` that are larger; the middle two are averaged for a median."""
    ordered = sorted(values)
    at = (len(ordered) + more - 1) * part
    low, high = (min(len(ordered) - 1, bound) for bound in (math.floor(at), math.ceil(at)))
    return fmean((ordered[low], ordered[high]))
