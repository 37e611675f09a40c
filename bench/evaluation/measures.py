"""Measures of ranking by `ir_measures` (trec_eval underneath, as BEIR uses it), and how sure a difference is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ir_measures
import numpy as np
import numpy.typing as npt
from ir_measures import RR, R, nDCG
from scipy import stats

from evaluation.labelled import Labels

#: What is reported, by the name it is reported under.
MEASURES = {"nDCG@10": nDCG @ 10, "recall@10": R @ 10, "MRR@10": RR @ 10}

_RESAMPLES = 10_000

#: Documents by question, best first, each once.
Rankings = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Interval:
    """A mean difference and its 95 % confidence interval."""

    mean: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """It does not hold zero."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def scores(labels: Labels, rankings: Rankings) -> dict[str, dict[str, float]]:
    """Each measure's value by question; 0 for a question that found nothing.

    Gains are linear in the grade, as in BEIR. Of MRR only the first ten ranks count.
    """
    # trec_eval wants whole grades; scores only say the order here.
    grades = {query: {name: round(grade) for name, grade in row.items()} for query, row in labels.items()}
    run = {
        query: {name: float(-rank) for rank, name in enumerate(found)} for query, found in rankings.items()
    }
    values: dict[str, dict[str, float]] = {name: dict.fromkeys(labels, 0.0) for name in MEASURES}
    names = {measure: name for name, measure in MEASURES.items()}
    for each in ir_measures.iter_calc(list(names), grades, run):
        values[names[each.measure]][each.query_id] = each.value
    return values


def difference(one: Mapping[str, float], other: Mapping[str, float]) -> Interval:
    """How much better `one` is on the same questions."""
    return confidence([np.array([one[query] - other[query] for query in one])])


def confidence(samples: Sequence[npt.NDArray[np.float64]]) -> Interval:
    """The mean of the samples' means. Percentile bootstrap; each sample is drawn by itself, the same way every time."""

    def mean_of_means(*drawn: npt.NDArray[np.float64], axis: int = -1) -> npt.NDArray[np.float64]:
        means: npt.NDArray[np.float64] = np.mean([sample.mean(axis=axis) for sample in drawn], axis=0)
        return means

    mean = float(mean_of_means(*samples))
    if all(not sample.any() or len(sample) < 2 for sample in samples):
        return Interval(mean, mean, mean)
    drawn = stats.bootstrap(
        samples, mean_of_means, n_resamples=_RESAMPLES, method="percentile", rng=np.random.default_rng(0)
    )
    return Interval(mean, float(drawn.confidence_interval.low), float(drawn.confidence_interval.high))
