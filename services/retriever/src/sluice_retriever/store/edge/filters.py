"""Filters of qdrant_client in Qdrant Edge's classes: those that `store/filters.py` makes, and no others."""

from collections.abc import Sequence

import qdrant_edge as edge
from qdrant_client import models


def edge_filter(filter_: models.Filter) -> edge.Filter:
    """The same filter.

    Raises:
        NotImplementedError: it asks something that no filter of this service does.
    """
    if filter_.min_should is not None:
        raise NotImplementedError("min_should")
    return edge.Filter(
        must=_conditions(filter_.must),
        should=_conditions(filter_.should),
        must_not=_conditions(filter_.must_not),
    )


def _conditions(
    conditions: Sequence[models.Condition] | models.Condition | None,
) -> "list[edge.ConditionType] | None":
    if conditions is None:
        return None
    return [_condition(each) for each in (conditions if isinstance(conditions, Sequence) else [conditions])]


def _condition(condition: models.Condition) -> "edge.ConditionType":
    match condition:
        case models.Filter():
            return edge_filter(condition)
        case models.IsEmptyCondition():
            return edge.IsEmptyCondition(condition.is_empty.key)
        case models.HasIdCondition():
            return edge.HasIdCondition({*condition.has_id})
        case models.FieldCondition():
            return _field(condition)
        case _:
            raise NotImplementedError(type(condition).__name__)


def _field(condition: models.FieldCondition) -> edge.FieldCondition:
    asked = {name: value for name in _PARTS if (value := getattr(condition, name)) is not None}
    if not asked or condition.model_dump(exclude={"key", *_PARTS}, exclude_none=True):
        raise NotImplementedError(f"{condition!r}")
    return edge.FieldCondition(
        condition.key,
        match=None if condition.match is None else _match(condition.match),
        range=None if condition.range is None else _range(condition.range),
        geo_radius=None if condition.geo_radius is None else _geo_radius(condition.geo_radius),
        geo_bounding_box=None if condition.geo_bounding_box is None else _geo_box(condition.geo_bounding_box),
    )


_PARTS = ("match", "range", "geo_radius", "geo_bounding_box")


def _match(match: models.Match) -> "edge.MatchType":
    match match:
        case models.MatchValue(value=bool()):
            # The bindings would ask for the number 1 or 0.
            raise NotImplementedError("a match with a boolean")
        case models.MatchValue():
            return edge.MatchValue(match.value)
        case models.MatchAny():
            return edge.MatchAny(list(match.any))  # type: ignore[arg-type]  # one type, as it came
        case models.MatchText():
            return edge.MatchText(match.text)
        case _:
            raise NotImplementedError(type(match).__name__)


def _range(span: models.RangeInterface) -> "edge.RangeType":
    if isinstance(span, models.DatetimeRange):
        times = {
            name: value.isoformat()
            for name in ("gt", "gte", "lt", "lte")
            if (value := getattr(span, name)) is not None
        }
        return edge.RangeDateTime(**times)
    return edge.RangeFloat(gt=span.gt, gte=span.gte, lt=span.lt, lte=span.lte)


def _geo_radius(circle: models.GeoRadius) -> edge.GeoRadius:
    return edge.GeoRadius(_point(circle.center), circle.radius)


def _geo_box(box: models.GeoBoundingBox) -> edge.GeoBoundingBox:
    return edge.GeoBoundingBox(_point(box.top_left), _point(box.bottom_right))


def _point(point: models.GeoPoint) -> edge.GeoPoint:
    return edge.GeoPoint(point.lon, point.lat)
