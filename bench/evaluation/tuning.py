"""One set of parameters for all collections, chosen on the questions that are for it and on no others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from rich.progress import track

from evaluation.labelled import Labels
from evaluation.measures import Interval, confidence, scores
from evaluation.stages import Candidates
from sluice_api.objects.retrieval import TokenMatch
from sluice_retriever.domain.model import Leg
from sluice_retriever.domain.parameters import Parameters

#: Candidates of each leg that tuning needs: the grid's most.
LEG_LIMIT = 200

_LEG_LIMITS = (50, 100, LEG_LIMIT)
_K = (1, 2, 4, 8, 16, 61)
_SPARSE = (0.5, 1.0, 2.0)
_TOKENS = (0.0, 0.5, 1.0, 2.0)
"""0 is without the leg."""


@dataclass(frozen=True)
class Tried:
    """A point of the grid."""

    parameters: Parameters
    by_collection: Mapping[str, Mapping[str, float]]
    """nDCG@10 by collection and question."""

    @property
    def mean(self) -> float:
        """Every collection counts the same, and every question in it."""
        return float(np.mean([np.mean(list(values.values())) for values in self.by_collection.values()]))

    def over(self, other: "Tried") -> Interval:
        """How much better this one is, with questions drawn anew within each collection."""
        return confidence(
            [
                np.array([value - other.by_collection[name][query] for query, value in values.items()])
                for name, values in self.by_collection.items()
            ]
        )


def attempt(
    parameters: Parameters, found: Mapping[str, Mapping[str, Candidates]], labels: Mapping[str, Labels]
) -> Tried:
    """One set of parameters on all collections."""
    values = {
        name: scores(labels[name], {query: row.ranked(parameters)[:10] for query, row in rows.items()})
        for name, rows in found.items()
    }
    return Tried(parameters, {name: each["nDCG@10"] for name, each in values.items()})


def tuned(
    default: Parameters, found: Mapping[str, Mapping[str, Candidates]], labels: Mapping[str, Labels]
) -> Sequence[Tried]:
    """All points of the grid, best first."""
    points = track(list(grid(default)), "tuning")
    return sorted((attempt(point, found, labels) for point in points), key=lambda tried: -tried.mean)


def grid(default: Parameters) -> Iterator[Parameters]:
    """What is tried. The dense leg's weight is 1: only ratios matter, and k is tried with each."""
    for leg_limit, k, sparse, tokens in product(_LEG_LIMITS, _K, _SPARSE, _TOKENS):
        yield replace(
            default,
            leg_limit=leg_limit,
            k=k,
            token_match=default.token_match if tokens else TokenMatch.OFF,
            weights={**default.weights, Leg.DENSE: 1.0, Leg.SPARSE: sparse, Leg.TOKENS: tokens},
        )


def describe(parameters: Parameters) -> str:
    """The tuned parameters in a line."""
    weights = parameters.weights
    tokens = "off" if parameters.token_match is TokenMatch.OFF else f"{weights[Leg.TOKENS]:g}"
    return (
        f"legLimit {parameters.leg_limit:>3}, k {parameters.k:>2}, dense {weights[Leg.DENSE]:g},"
        f" sparse {weights[Leg.SPARSE]:g}, tokens {tokens}"
    )
