"""The scores of several sources as one."""

import statistics
from collections.abc import Mapping, Sequence

from sluice_api.objects.arranging import Calibration, Fusion, FusionMethod, Source
from sluice_reranker.domain.arranging.odds import log_odds, probability
from sluice_reranker.domain.arranging.sources import Places, places
from sluice_reranker.domain.model import Candidate

Scores = Mapping[int, float]


def fused(fusion: Fusion, candidates: Sequence[Candidate], relevance: Scores) -> dict[int, float]:
    """The score of each candidate that the ranker has scored, 0 to 1.

    A source that has not found a candidate gives it nothing; under `calibrated`, what it gives its worst. A source that
    has found none has no say.
    """
    told = {
        source: (weight, places(candidates, relevance, source))
        for source, weight in fusion.weights.items()
        if weight > 0
    }
    present = {source: entry for source, entry in told.items() if entry[1]}
    if not present:
        return dict(relevance)
    total = sum(weight for weight, _ in present.values())
    shares = {source: _shares(fusion, source, found) for source, (_, found) in present.items()}
    mixed = {
        index: sum(weight * shares[source].get(index, 0.0) for source, (weight, _) in present.items()) / total
        for index in relevance
    }
    if fusion.method is not FusionMethod.CALIBRATED:
        return mixed
    worst = {source: min(of.values()) for source, of in shares.items()}
    return {
        index: probability(
            sum(weight * shares[source].get(index, worst[source]) for source, (weight, _) in present.items())
            / total
        )
        for index in relevance
    }


def _shares(fusion: Fusion, source: Source, found: Places) -> Mapping[int, float]:
    if fusion.method is FusionMethod.RRF:
        return {index: fusion.k / (fusion.k + placed.rank) for index, placed in found.items()}
    scores = {index: placed.score for index, placed in found.items()}
    if fusion.method is FusionMethod.CALIBRATED:
        curve = fusion.calibration.get(source)
        return {index: log_odds(_calibrated(score, curve)) for index, score in scores.items()}
    if fusion.method is FusionMethod.DBSF:
        mean, spread = statistics.fmean(scores.values()), 3 * statistics.pstdev(scores.values())
        return _scaled(scores, mean - spread, mean + spread)
    return _scaled(scores, min(scores.values()), max(scores.values()))


def _scaled(scores: Mapping[int, float], least: float, greatest: float) -> Mapping[int, float]:
    if greatest <= least:  # all alike
        return dict.fromkeys(scores, 0.5)
    return {
        index: min(1.0, max(0.0, (score - least) / (greatest - least))) for index, score in scores.items()
    }


def _calibrated(score: float, curve: Calibration | None) -> float:
    return score if curve is None else probability(curve.slope * (score - curve.midpoint))
