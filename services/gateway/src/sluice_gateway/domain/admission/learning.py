"""Learns the limit from cohorts of runs. Pure.

A cohort is some runs that started one after the other. It is judged once most of them have ended, the others counting
as slower: whoever judged by the first that end would take the quickest for all.
"""

from dataclasses import dataclass, field

from sluice_gateway.domain.admission.baselines import Baselines, Sample
from sluice_gateway.domain.admission.gradient import GradientLimit, Seen

#: A cohort takes in runs until it has so many, more where a probe hangs on it, and so many seconds have gone by.
_RUNS = 20
_RUNS_OF_PROBE = 40
_SECONDS = 0.5

#: It is judged once this part has ended.
_MOST = 0.75

#: Runs are never quicker, to a clock.
_QUICKEST = 1e-6


@dataclass(slots=True, eq=False)
class Cohort:
    """Runs that started one after the other."""

    opened: float
    runs: int = 0
    """Those that count: neither refused by a gate nor given up by their callers."""
    failures: int = 0
    peak: int = 0
    is_open: bool = True
    is_judged: bool = False
    """Or not to be: it began under another limit."""
    samples: list[Sample] = field(default_factory=list)

    @property
    def is_ripe(self) -> bool:
        """True once it can be judged."""
        ended = len(self.samples) + self.failures
        return not self.is_open and not self.is_judged and ended > 0 and ended >= _MOST * self.runs


class Learner:
    """The limit, and what it is learnt from."""

    def __init__(self, limit: GradientLimit, now: float) -> None:
        self._limit = limit
        self._baselines = Baselines()
        self._open = Cohort(now)
        self._live: list[Cohort] = [self._open]

    @property
    def limit(self) -> int:
        """Runs that may go on at the same time."""
        return self._limit.current

    def quickest(self, kind: str) -> float:
        """See `Baselines.quickest`."""
        return self._baselines.quickest(kind)

    def typical(self, kind: str) -> float:
        """See `Baselines.typical`."""
        return self._baselines.typical(kind)

    def started(self, in_flight: int, now: float) -> Cohort:
        """A run has started, one of so many; gives its cohort."""
        enough = _RUNS_OF_PROBE if self._limit.is_probing else _RUNS
        if self._open.runs >= enough and now - self._open.opened >= _SECONDS:
            full = self._open
            self._next(now)
            self._judge_where_ripe(full, now)  # all of it may have ended by now
        self._open.runs += 1
        self._open.peak = max(self._open.peak, in_flight)
        return self._open

    def ended(self, cohort: Cohort, sample: Sample | None, *, failed: bool, now: float) -> None:
        """A run has ended.

        Args:
            sample: How long it took; None where that says nothing.
            failed: It failed for want of time or capacity.
        """
        if sample is not None:
            cohort.samples.append(Sample(sample.kind, max(sample.seconds, _QUICKEST)))
        elif failed:
            cohort.failures += 1
        else:
            cohort.runs -= 1
        self._judge_where_ripe(cohort, now)

    def _next(self, now: float) -> None:
        self._open.is_open = False
        self._live = [cohort for cohort in self._live if cohort.runs]
        self._open = Cohort(now)
        self._live.append(self._open)

    def _judge_where_ripe(self, cohort: Cohort, now: float) -> None:
        if not cohort.is_ripe:
            return
        cohort.is_judged = True
        self._live = [other for other in self._live if other is not cohort]
        ended, limit = cohort.samples, self._limit
        unfinished = cohort.runs - len(ended) - cohort.failures
        ratio, error = self._baselines.ratio(ended, unfinished) if ended else (1.0, 0.0)
        seen = Seen(ratio, cohort.peak, cohort.failures / cohort.runs, error)
        if ended and limit.is_probing:
            self._baselines.replace(ended, unfinished)
        elif ended:
            self._baselines.follow(ended, unfinished, little_load=limit.is_little(cohort.peak))
        before = limit.limit
        limit.update(seen)
        if limit.limit < before:  # what began under the old limit says nothing of the new one
            for other in self._live:
                other.is_judged = True
            self._live = []
            self._next(now)
