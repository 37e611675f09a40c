"""Filters in Qdrant's words, with the tenant at the root where no caller reaches it."""

from collections.abc import Iterable

from qdrant_client import models

from sluice_retriever.domain.model import Condition, Filter, Match, Reader
from sluice_retriever.store.schema import Payload


def readable(
    reader: Reader, hidden: Iterable[models.Condition], filter_: Filter | None, now: float
) -> models.Filter:
    """What a reader may see: its tenant's points, open ones or those its acl names, none expired, none hidden."""
    must: list[models.Condition] = [_equals(Payload.TENANT, reader.tenant), _open_to(reader.acl)]
    if filter_ is not None:
        must.append(_nested(filter_))
    return models.Filter(must=must, must_not=[expired(now), *hidden])


def expired(now: float) -> models.FieldCondition:
    """Points whose time is over."""
    return models.FieldCondition(key=Payload.EXPIRES, range=models.Range(lte=now))


def of_tenant(tenant: str) -> models.Filter:
    """All of a tenant's points: the population of its IDF statistics."""
    return models.Filter(must=[_equals(Payload.TENANT, tenant)])


def of_document(tenant: str, document_id: str) -> models.Filter:
    """All points of a document."""
    return models.Filter(must=[_equals(Payload.TENANT, tenant), _equals(Payload.DOCUMENT, document_id)])


def of_run(tenant: str, write_id: str, start: int, count: int) -> models.Filter:
    """A write's chunks from the ordinal `start` on."""
    ordinals = models.Range(gte=start, lt=start + count)
    return models.Filter(
        must=[
            _equals(Payload.TENANT, tenant),
            _equals(Payload.WRITE, write_id),
            models.FieldCondition(key=Payload.ORDINAL, range=ordinals),
        ]
    )


def of_wordings(tenant: str, write_id: str, wordings: list[str]) -> models.Filter:
    """A write's chunks of these wordings."""
    return models.Filter(
        must=[
            _equals(Payload.TENANT, tenant),
            _equals(Payload.WRITE, write_id),
            models.FieldCondition(key=Payload.WORDING, match=models.MatchAny(any=wordings)),
        ]
    )


def in_writes(write_ids: Iterable[str]) -> models.FieldCondition:
    """The points of some writes."""
    return models.FieldCondition(key=Payload.WRITE, match=models.MatchAny(any=list(write_ids)))


def among(ids: Iterable[str]) -> models.HasIdCondition:
    """The points of these ids."""
    return models.HasIdCondition(has_id=list(ids))


def _open_to(acl: tuple[str, ...]) -> models.Condition:
    is_open = models.IsEmptyCondition(is_empty=models.PayloadField(key=Payload.ACL))
    if not acl:
        return is_open
    return models.Filter(
        should=[is_open, models.FieldCondition(key=Payload.ACL, match=models.MatchAny(any=list(acl)))]
    )


def _nested(filter_: Filter) -> models.Filter:
    return models.Filter(
        must=[_condition(condition) for condition in filter_.must] or None,
        should=[_condition(condition) for condition in filter_.should] or None,
        must_not=[_condition(condition) for condition in filter_.must_not] or None,
    )


def _condition(condition: Condition) -> models.Condition:
    if isinstance(condition, Filter):
        return _nested(condition)
    # Quoted, since a name may hold blanks or any script.
    key = ".".join((Payload.METADATA, *(f'"{name}"' for name in condition.field.split("."))))
    if isinstance(condition, Match):
        return _match(key, condition)
    bounds = models.Range(gt=condition.gt, gte=condition.gte, lt=condition.lt, lte=condition.lte)
    return models.FieldCondition(key=key, range=bounds)


def _match(key: str, condition: Match) -> models.Condition:
    values = condition.any_of
    if isinstance(values[0], bool):
        # The embedded engine takes a boolean for the number 1 or 0, so the fields that are true are listed apart.
        lists = {Payload.TRUE_FIELDS if value else Payload.FALSE_FIELDS for value in values}
        return models.Filter(should=[_equals(fields, condition.field) for fields in sorted(lists)])
    return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))


def _equals(key: str, value: str) -> models.FieldCondition:
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))
