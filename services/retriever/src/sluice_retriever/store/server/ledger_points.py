"""The ledger's own points, which have no vectors: a record for each document in force, an intent for each write that
has begun and has not ended."""

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from qdrant_client import models

from sluice_retriever.store import filters
from sluice_retriever.store.messages import Part, Stocked
from sluice_retriever.store.schema import Payload
from sluice_retriever.store.server.schema import PENDING, RECORD

_DIGEST = "digest"
_CHUNKS = "chunks"
_PREVIOUS = "previous"


@dataclass(frozen=True, slots=True)
class Intent:
    """A write that has begun."""

    tenant: str
    document_id: str
    write_id: str
    since: float
    """Epoch seconds."""
    previous: str = ""
    """The write that it is about to replace, once it is being committed."""


def record_id(tenant: str, document_id: str) -> str:
    """The id of a document's record, whichever write is in force."""
    return _id(RECORD, tenant, document_id)


def intent_id(tenant: str, write_id: str) -> str:
    """The id of a write's intent."""
    return _id(PENDING, tenant, write_id)


def record_point(part: Part) -> models.PointStruct:
    """The record that puts a write in force, which this part ends."""
    payload = _payload(part) | {_DIGEST: part.digest, _CHUNKS: part.total}
    if part.expires is not None:
        payload[Payload.EXPIRES.value] = part.expires
    return models.PointStruct(id=record_id(part.tenant, part.document_id), vector={}, payload=payload)


def intent_point(part: Part, now: float) -> models.PointStruct:
    """The intent of a write, which this part begins."""
    payload = _payload(part) | {PENDING: now}
    return models.PointStruct(id=intent_id(part.tenant, part.write_id), vector={}, payload=payload)


def previous_payload(write_id: str) -> dict[str, object]:
    """What is added to an intent before its write replaces another."""
    return {_PREVIOUS: write_id}


def read_record(point: models.Record) -> Stocked:
    """A record as it was stored."""
    payload = point.payload or {}
    return Stocked(
        tenant=payload[Payload.TENANT],
        document_id=payload[Payload.DOCUMENT],
        write_id=payload[Payload.WRITE],
        digest=payload[_DIGEST],
        chunks=int(payload[_CHUNKS]),
        expires=payload.get(Payload.EXPIRES),
    )


def read_intent(point: models.Record) -> Intent:
    """An intent as it was stored."""
    payload = point.payload or {}
    return Intent(
        tenant=payload[Payload.TENANT],
        document_id=payload[Payload.DOCUMENT],
        write_id=payload[Payload.WRITE],
        since=float(payload[PENDING]),
        previous=payload.get(_PREVIOUS, ""),
    )


def is_record() -> models.FieldCondition:
    """Holds for the ledger's own points."""
    return models.FieldCondition(key=RECORD, match=models.MatchValue(value=True))


def is_pending() -> models.FieldCondition:
    """Holds for points of writes that have not ended: any time is past the epoch."""
    return models.FieldCondition(key=PENDING, range=models.Range(gte=0))


def pending_before(time: float) -> models.FieldCondition:
    """Holds for those of them that were written before."""
    return models.FieldCondition(key=PENDING, range=models.Range(lt=time))


def of_tenant(tenant: str) -> models.FieldCondition:
    """Holds for all of a tenant's points."""
    return models.FieldCondition(key=Payload.TENANT, match=models.MatchValue(value=tenant))


def in_write(write_id: str) -> models.FieldCondition:
    """Holds for the points of one write."""
    return models.FieldCondition(key=Payload.WRITE, match=models.MatchValue(value=write_id))


def records(*more: models.Condition) -> models.Filter:
    """Records of documents in force."""
    return models.Filter(must=[is_record(), *more], must_not=[is_pending()])


def intents() -> models.Filter:
    """Intents."""
    return models.Filter(must=[is_record(), is_pending()])


def chunks_of(tenant: str, write_ids: Iterable[str]) -> models.Filter:
    """The chunks of some writes, without their records."""
    return models.Filter(must=[of_tenant(tenant), filters.in_writes(write_ids)], must_not=[is_record()])


def _payload(part: Part) -> dict[str, object]:
    return {
        RECORD: True,
        Payload.TENANT.value: part.tenant,
        Payload.DOCUMENT.value: part.document_id,
        Payload.WRITE.value: part.write_id,
    }


def _id(*parts: str) -> str:
    # As JSON: no two lists of parts look the same.
    return str(uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(parts)))
