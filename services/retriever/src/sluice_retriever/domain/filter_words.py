"""Filters in the REST API's words, as explanations show them."""

from typing import Any

from sluice_api.filtering import (
    Condition,
    DatetimeRange,
    Empty,
    Filter,
    GeoBox,
    GeoRadius,
    Match,
    Point,
    Range,
    Words,
    bounds,
)


def written(filter_: Filter) -> dict[str, Any]:
    """The filter written out, as JSON can hold it; reading that gives the same filter."""
    parts = (("must", filter_.must), ("should", filter_.should), ("must_not", filter_.must_not))
    return {name: [_condition(each) for each in conditions] for name, conditions in parts if conditions}


def _condition(condition: Condition) -> dict[str, Any]:
    return (
        written(condition)
        if isinstance(condition, Filter)
        else {"field": condition.field, **_asked(condition)}
    )


def _asked(condition: Condition) -> dict[str, Any]:
    match condition:
        case Match(any_of=(value,)):
            return {"eq": value}
        case Match():
            return {"in": list(condition.any_of)}
        case Range():
            return bounds(condition)
        case DatetimeRange():
            times = bounds(condition).items()
            return {name: moment.isoformat().replace("+00:00", "Z") for name, moment in times}
        case GeoRadius():
            return {"geo_radius": {"center": _point(condition.center), "radius": condition.radius}}
        case GeoBox():
            corners = {"top_left": _point(condition.top_left), "bottom_right": _point(condition.bottom_right)}
            return {"geo_bounding_box": corners}
        case Words():
            return {"contains": condition.text}
        case Empty():
            return {"is_empty": True}
        case _:
            raise AssertionError(condition)


def _point(point: Point) -> dict[str, float]:
    return {"lat": point.lat, "lon": point.lon}
