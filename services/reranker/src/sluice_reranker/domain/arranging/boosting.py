"""More or less for candidates whose documents are fresh, or say something."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sluice_api import datetimes
from sluice_api.objects.arranging import Boost, Freshness, Matching
from sluice_reranker.domain.arranging.odds import log_odds, probability
from sluice_reranker.domain.model import Candidate


def boosted(
    boosts: Sequence[Boost], candidates: Sequence[Candidate], scores: Mapping[int, float], now: float
) -> dict[int, float]:
    """The scores with what each boost adds to their log-odds. A document whose metadata lacks the field, or has it in
    another form, is left as it is.

    Args:
        now: Unix seconds.
    """
    reads = any(boost.knowledge_base is None for boost in boosts)
    raised = {}
    for index, score in scores.items():
        candidate = candidates[index]
        metadata = _metadata(candidate) if reads else {}
        added = sum(boost.log_odds * _share(boost, candidate, metadata, now) for boost in boosts)
        raised[index] = probability(log_odds(score) + added) if added else score
    return raised


def _share(boost: Boost, candidate: Candidate, metadata: Mapping[str, Any], now: float) -> float:
    """How much of a boost a candidate gets, 0 to 1."""
    if boost.freshness is not None:
        return _freshness(boost.freshness, metadata, now)
    if boost.matching is not None:
        return 1.0 if _matches(boost.matching, metadata) else 0.0
    return 1.0 if candidate.knowledge_base == boost.knowledge_base else 0.0


def _freshness(wanted: Freshness, metadata: Mapping[str, Any], now: float) -> float:
    moment = _moment(metadata.get(wanted.field))
    if moment is None or wanted.half_life <= 0:
        return 0.0
    age = max(0.0, now - moment)  # what is dated ahead is as fresh as can be
    return float(0.5 ** (age / wanted.half_life))


def _moment(value: object) -> float | None:
    """Unix seconds."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if not isinstance(value, str):
        return None
    try:
        parsed = datetimes.parse(value)
    except ValueError:
        return None
    return (parsed if isinstance(parsed, datetime) else datetimes.midnight(parsed)).timestamp()


def _matches(wanted: Matching, metadata: Mapping[str, Any]) -> bool:
    held = metadata.get(wanted.field)
    items = held if isinstance(held, list) else [held]
    return any(type(item) is type(value) and item == value for item in items for value in wanted.values)


def _metadata(candidate: Candidate) -> Mapping[str, Any]:
    try:
        read = json.loads(candidate.metadata_json or "{}")
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
