"""Filters in Qdrant's words, the same for the embedded engine and a server, with the tenant at the root where no caller
reaches it."""

from collections.abc import Iterable, Sequence

from qdrant_client import models

from sluice_api.filtering import Filter
from sluice_retriever.domain.model import Reader
from sluice_retriever.store import conditions
from sluice_retriever.store.schema import Payload


def readable(
    reader: Reader, hidden: Iterable[models.Condition], filter_: Filter | None, now: float
) -> models.Filter:
    """What a reader may see: its tenant's points, open ones or those its acl names, none expired, none hidden."""
    must: list[models.Condition] = [_equals(Payload.TENANT, reader.tenant), _open_to(reader.acl)]
    if filter_ is not None:
        must.append(conditions.nested(filter_))
    return models.Filter(must=must, must_not=[expired(now), *hidden])


def expired(now: float) -> models.FieldCondition:
    """Points whose time is over."""
    return models.FieldCondition(key=Payload.EXPIRES, range=models.Range(lte=now))


def of_tenant(tenant: str) -> models.Filter:
    """All of a tenant's points: the population of its IDF statistics."""
    return models.Filter(must=[_equals(Payload.TENANT, tenant)])


def of_documents(tenant: str, document_ids: Sequence[str]) -> models.Filter:
    """All points of some documents."""
    named = models.FieldCondition(key=Payload.DOCUMENT, match=models.MatchAny(any=list(document_ids)))
    return models.Filter(must=[_equals(Payload.TENANT, tenant), named])


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


def _equals(key: str, value: str) -> models.FieldCondition:
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))
