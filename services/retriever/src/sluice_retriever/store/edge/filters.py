"""`qdrant_client.models`' filters as Qdrant Edge's."""

from typing import cast

import qdrant_edge as edge
from qdrant_client import models


def edge_filter(filter_: models.Filter) -> edge.Filter:
    """The same filter in the engine's words."""
    return edge.Filter(
        must=_conditions(filter_.must),
        should=_conditions(filter_.should),
        must_not=_conditions(filter_.must_not),
    )


def _conditions(
    given: list[models.Condition] | models.Condition | None,
) -> "list[edge.ConditionType] | None":
    if given is None:
        return None
    conditions = given if isinstance(given, list) else [given]
    return [_condition(condition) for condition in conditions] or None


def _condition(condition: models.Condition) -> "edge.ConditionType":
    match condition:
        case models.Filter():
            return edge_filter(condition)
        case models.HasIdCondition():
            return edge.HasIdCondition(set(condition.has_id))
        case models.IsEmptyCondition():
            return edge.IsEmptyCondition(condition.is_empty.key)
        case models.FieldCondition():
            return _field(condition)
        case _:
            raise ValueError(f"the embedded engine has no {type(condition).__name__}")


def _field(condition: models.FieldCondition) -> edge.FieldCondition:
    if isinstance(condition.match, models.MatchValue):
        return edge.FieldCondition(condition.key, match=edge.MatchValue(condition.match.value))
    if isinstance(condition.match, models.MatchAny):
        return edge.FieldCondition(condition.key, match=edge.MatchAny(cast("list[str]", condition.match.any)))
    if isinstance(condition.range, models.Range):
        bounds = condition.range
        return edge.FieldCondition(
            condition.key, range=edge.RangeFloat(gt=bounds.gt, gte=bounds.gte, lt=bounds.lt, lte=bounds.lte)
        )
    raise ValueError(f"the embedded engine has no condition {condition!r}")
