"""Finishes what crashes have left half done, and removes what has expired."""

from qdrant_client import models

from sluice_retriever.store import filters
from sluice_retriever.store.grouping import by_tenant
from sluice_retriever.store.schema import Payload
from sluice_retriever.store.server import ledger_points as points
from sluice_retriever.store.server.backend import ServerBackend
from sluice_retriever.store.server.settling import (
    delete_documents,
    every_page,
    records,
    settle,
    write_of,
)

#: Seconds after which a write that has not ended is given up.
ABANDONED_AFTER = 3600.0

_PAGE = 256


async def sweep(backend: ServerBackend, now: float) -> int:
    """Finishes commits that were cut off, and removes writes that began over an hour ago and documents whose time is
    over. Costs the more the more of these there are, whatever is stored.

    Args:
        backend: The generation.
        now: Epoch seconds.

    Returns:
        How many documents' time was over.
    """
    abandoned = now - ABANDONED_AFTER
    await _sweep_writes(backend, abandoned)
    await _remove_orphans(backend, abandoned)
    return await _remove_expired(backend, now)


async def _sweep_writes(backend: ServerBackend, abandoned: float) -> None:
    begun = [points.read_intent(point) for point in await _everywhere(backend, points.intents())]
    for tenant, own in by_tenant(begun).items():
        in_force = await records(backend, tenant, [intent.document_id for intent in own])
        done = [
            intent
            for intent in own
            # In force, with its intent still there: cut off while it removed what it had replaced.
            if intent.since < abandoned or write_of(in_force.get(intent.document_id)) == intent.write_id
        ]
        await settle(backend, tenant, done, in_force)


async def _remove_orphans(backend: ServerBackend, abandoned: float) -> None:
    """Chunks that arrived after their write was given up."""
    old = points.pending_before(abandoned)
    orphans = models.Filter(must=[old], must_not=[points.is_record()])
    for tenant in await backend.values_everywhere(Payload.TENANT, orphans):
        own = models.Filter(must=[points.of_tenant(tenant), old], must_not=[points.is_record()])
        await backend.delete(tenant, own)


async def _remove_expired(backend: ServerBackend, now: float) -> int:
    over = filters.expired(now)
    found = [points.read_record(point) for point in await _everywhere(backend, points.records(over))]
    removed = 0
    for tenant, own in by_tenant(found).items():
        # The condition again: a document may have been touched meanwhile.
        removed += await delete_documents(backend, tenant, [row.document_id for row in own], over)
    return removed


async def _everywhere(backend: ServerBackend, filter_: models.Filter) -> list[models.Record]:
    found = await every_page(lambda offset: backend.scroll_everywhere(filter_, _PAGE, offset))
    # What is done about them is routed: a tenant that is moving has two copies of each.
    return list({point.id: point for point in found}.values())
