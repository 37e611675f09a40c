"""A caller's filter over metadata in Qdrant's words, the same for the embedded engine and a server."""

from collections.abc import Sequence

from qdrant_client import models

from sluice_api.filtering import (
    BOUNDS,
    Condition,
    DatetimeRange,
    Empty,
    Filter,
    GeoBox,
    GeoRadius,
    Leaf,
    Match,
    Point,
    Range,
    Words,
)
from sluice_api.objects.knowledge_base import FieldType, MetadataField
from sluice_retriever.domain import fields
from sluice_retriever.store.schema import Payload

#: Degrees of longitude. The engine's geo index loses what lies in a box of 315 or more, so wide ones are asked for as
#: two that overlap, since their edges do not count as inside.
_WIDEST_BOX = 180.0
_OVERLAP = 0.5
#: Nor does it find what lies in a box up to the pole itself.
_NORTHERNMOST = 89.999999

_SCHEMAS = {
    FieldType.KEYWORD: models.PayloadSchemaType.KEYWORD,
    FieldType.INTEGER: models.PayloadSchemaType.INTEGER,
    FieldType.FLOAT: models.PayloadSchemaType.FLOAT,
    FieldType.DATETIME: models.PayloadSchemaType.DATETIME,
    FieldType.GEO: models.PayloadSchemaType.GEO,
    FieldType.TEXT: models.PayloadSchemaType.TEXT,
}


def nested(filter_: Filter) -> models.Filter:
    """The same filter, to stand inside another one."""
    return models.Filter(
        must=[_condition(condition) for condition in filter_.must] or None,
        should=[_condition(condition) for condition in filter_.should] or None,
        must_not=[_condition(condition) for condition in filter_.must_not] or None,
    )


def _condition(condition: Condition) -> models.Condition:
    if isinstance(condition, Filter):
        return nested(condition)
    if isinstance(condition, Match):
        return _match(condition)
    if isinstance(condition, GeoBox):
        return _box(condition)
    if isinstance(condition, Empty):
        return models.IsEmptyCondition(is_empty=models.PayloadField(key=metadata_key(condition.field)))
    return _field_condition(condition)


def _match(condition: Match) -> models.Condition:
    values = condition.any_of
    if isinstance(values[0], bool):
        # The embedded engine's bindings take a boolean for the number 1 or 0, so the fields that are true are listed
        # apart. A server would not, and is asked the same way: one rule.
        lists = {Payload.TRUE_FIELDS if value else Payload.FALSE_FIELDS for value in values}
        return models.Filter(
            should=[
                models.FieldCondition(key=names, match=models.MatchValue(value=condition.field))
                for names in sorted(lists)
            ]
        )
    return models.FieldCondition(key=metadata_key(condition.field), match=models.MatchAny(any=list(values)))


def _box(condition: GeoBox) -> models.Condition:
    left, right = condition.top_left.lon, condition.bottom_right.lon
    width = 360.0 if right - left == 360 else (right - left) % 360
    north = min(condition.top_left.lat, _NORTHERNMOST)
    spans = [(left, right)]
    if width > _WIDEST_BOX:
        middle = left + width / 2
        spans = [(left, _longitude(middle + _OVERLAP)), (_longitude(middle - _OVERLAP), right)]
    boxes: list[models.Condition] = [
        models.FieldCondition(
            key=metadata_key(condition.field),
            geo_bounding_box=models.GeoBoundingBox(
                top_left=models.GeoPoint(lat=north, lon=west),
                bottom_right=models.GeoPoint(lat=condition.bottom_right.lat, lon=east),
            ),
        )
        for west, east in spans
    ]
    return boxes[0] if len(boxes) == 1 else models.Filter(should=boxes)


def _longitude(degrees: float) -> float:
    return (degrees + 180) % 360 - 180


def _field_condition(condition: Leaf) -> models.FieldCondition:
    key = metadata_key(condition.field)
    match condition:
        case Range():
            return models.FieldCondition(
                key=key, range=models.Range(**{name: getattr(condition, name) for name in BOUNDS})
            )
        case DatetimeRange():
            bounds = {name: getattr(condition, name) for name in BOUNDS}
            return models.FieldCondition(key=key, range=models.DatetimeRange(**bounds))
        case GeoRadius():
            circle = models.GeoRadius(center=_point(condition.center), radius=condition.radius)
            return models.FieldCondition(key=key, geo_radius=circle)
        case Words():
            return models.FieldCondition(key=key, match=models.MatchText(text=condition.text))
        case _:
            raise AssertionError(f"no field condition: {condition}")


def _point(point: Point) -> models.GeoPoint:
    return models.GeoPoint(lon=point.lon, lat=point.lat)


def field_indexes(declared: Sequence[MetadataField]) -> dict[str, models.PayloadSchemaType]:
    """Payload indexes for declared fields, by payload key; a server in strict mode filters on no other keys."""
    kinds = fields.index_kinds(declared)
    keyword = models.PayloadSchemaType.KEYWORD
    booleans = (
        {} if len(kinds) == len(declared) else {Payload.TRUE_FIELDS: keyword, Payload.FALSE_FIELDS: keyword}
    )
    return {metadata_key(name): _SCHEMAS[kind] for name, kind in kinds.items()} | booleans


def metadata_key(field: str) -> str:
    """A metadata field as a payload key."""
    # Quoted, since a name may hold blanks or any script.
    return ".".join((Payload.METADATA, *(f'"{name}"' for name in field.split("."))))
