"""Reading records, and removing what writes have left behind: what commits, deletions and sweeps share."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from qdrant_client import models

from sluice_retriever.store import filters
from sluice_retriever.store.backend import Offset
from sluice_retriever.store.messages import Stocked
from sluice_retriever.store.server import ledger_points as points
from sluice_retriever.store.server.backend import ServerBackend
from sluice_retriever.store.server.ledger_points import Intent


def write_of(record: Stocked | None) -> str:
    """The write that a record puts in force; empty where there is none."""
    return "" if record is None else record.write_id


async def records(backend: ServerBackend, tenant: str, ids: Iterable[str]) -> dict[str, Stocked]:
    """The records of those documents that are in force."""
    wanted = [points.record_id(tenant, id_) for id_ in dict.fromkeys(ids)]
    if not wanted:
        return {}
    found = await backend.retrieve(tenant, wanted)
    read = (points.read_record(point) for point in found)
    return {record.document_id: record for record in read}


async def intents(backend: ServerBackend, tenant: str, write_ids: Iterable[str]) -> list[Intent]:
    """The intents of those writes that have not ended."""
    wanted = [points.intent_id(tenant, id_) for id_ in write_ids]
    return [points.read_intent(point) for point in await backend.retrieve(tenant, wanted)] if wanted else []


async def settle(
    backend: ServerBackend, tenant: str, done: Sequence[Intent], in_force: dict[str, Stocked]
) -> None:
    """Removes what these writes have replaced, or themselves where they are not in force, and their intents."""
    if not done:
        return
    stale: set[str] = set()
    for intent in done:
        write = write_of(in_force.get(intent.document_id))
        stale |= {intent.write_id, intent.previous} - {write, ""}
    shard = backend.selector(tenant)
    ids: list[models.ExtendedPointId] = [points.intent_id(tenant, intent.write_id) for intent in done]
    operations: list[models.UpdateOperation] = []
    if stale:
        chunks = points.chunks_of(tenant, sorted(stale))
        operations.append(
            models.DeleteOperation(delete=models.FilterSelector(filter=chunks, shard_key=shard))
        )
    # The intents last: until then a sweep can do the same again.
    operations.append(models.DeleteOperation(delete=models.PointIdsList(points=ids, shard_key=shard)))
    await backend.update(operations)


async def delete_documents(
    backend: ServerBackend, tenant: str, ids: Iterable[str], *more: models.Condition
) -> int:
    """Removes documents, and gives how many there were; of them only points for which `more` holds, too."""
    writes = [record.write_id for record in (await records(backend, tenant, ids)).values()]
    if writes:
        # By write, records among them: what replaces these documents meanwhile stays.
        must = [points.of_tenant(tenant), filters.in_writes(writes), *more]
        await backend.delete(tenant, models.Filter(must=must, must_not=[points.is_pending()]))
    return len(writes)


async def every_page(
    page: Callable[[Offset], Awaitable[tuple[list[models.Record], Offset]]],
) -> list[models.Record]:
    """All points of a scroll."""
    found, offset = await page(None)
    while offset is not None:
        more, offset = await page(offset)
        found += more
    return found
