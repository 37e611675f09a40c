"""Filters in Qdrant Edge's words, with the tenant at the root where no caller reaches it."""

from collections.abc import Iterable

import qdrant_edge as edge

from sluice_retriever.domain.model import Condition, Filter, Match, Reader

TENANT = "tenant"
DOCUMENT = "document"
WRITE = "write"
ACL = "acl"
METADATA = "metadata"
TRUE_FIELDS = "true_fields"
FALSE_FIELDS = "false_fields"


def readable(reader: Reader, hidden: list[str], filter_: Filter | None) -> edge.Filter:
    """What a reader may see: its tenant's points, open ones or those its acl names, none half written."""
    must: list[edge.ConditionType] = [_equals(TENANT, reader.tenant), _open_to(reader.acl)]
    if filter_ is not None:
        must.append(_nested(filter_))
    must_not: list[edge.ConditionType] = [of_writes(hidden)] if hidden else []
    return edge.Filter(must=must, must_not=must_not or None)


def of_tenant(tenant: str) -> edge.Filter:
    """All of a tenant's points: the population of its IDF statistics."""
    return edge.Filter(must=[_equals(TENANT, tenant)])


def of_writes(write_ids: Iterable[str]) -> edge.Filter:
    """The points of some writes."""
    return edge.Filter(must=[edge.FieldCondition(WRITE, match=edge.MatchAny(list(write_ids)))])


def _open_to(acl: tuple[str, ...]) -> edge.Filter:
    is_open = edge.IsEmptyCondition(ACL)
    if not acl:
        return edge.Filter(must=[is_open])
    return edge.Filter(should=[is_open, edge.FieldCondition(ACL, match=edge.MatchAny(list(acl)))])


def _nested(filter_: Filter) -> edge.Filter:
    return edge.Filter(
        must=[_condition(condition) for condition in filter_.must] or None,
        should=[_condition(condition) for condition in filter_.should] or None,
        must_not=[_condition(condition) for condition in filter_.must_not] or None,
    )


def _condition(condition: Condition) -> "edge.ConditionType":
    if isinstance(condition, Filter):
        return _nested(condition)
    # Quoted, since a name may hold blanks or any script.
    key = ".".join((METADATA, *(f'"{name}"' for name in condition.field.split("."))))
    if isinstance(condition, Match):
        return _match(key, condition)
    bounds = edge.RangeFloat(gt=condition.gt, gte=condition.gte, lt=condition.lt, lte=condition.lte)
    return edge.FieldCondition(key, range=bounds)


def _match(key: str, condition: Match) -> "edge.ConditionType":
    values = condition.any_of
    if isinstance(values[0], bool):
        # The bindings take a boolean for the number 1 or 0, so the fields that are true are listed apart.
        lists = {TRUE_FIELDS if value else FALSE_FIELDS for value in values}
        return edge.Filter(should=[_equals(fields, condition.field) for fields in sorted(lists)])
    return edge.FieldCondition(key, match=edge.MatchAny(list(values)))  # type: ignore[arg-type]  # one type, checked


def _equals(key: str, value: str) -> edge.FieldCondition:
    return edge.FieldCondition(key, match=edge.MatchValue(value))
