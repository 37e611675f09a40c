"""The ledger on a server, where a process may die between any two operations and several write at once."""

import asyncio
import contextlib
import random
import time
from pathlib import Path

import pytest
from qdrant_client import models

from sluice_retriever.domain.model import Usage
from sluice_retriever.store.messages import WriteLost
from sluice_retriever.store.schema import Payload
from sluice_retriever.store.server.backend import ServerBackend
from sluice_retriever.store.server.ledger import ServerLedger
from sluice_retriever.store.server.sweeping import ABANDONED_AFTER
from sluice_retriever.store.store import BackendStore
from sluice_servicekit.errors import Unavailable
from support.engines import Engine, manifest, opened, part

#: Operations of one commit, and those that clear up after it.
_STEPS = 6


@pytest.fixture(params=["cluster", "standalone"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path):
    """A new generation on a double."""
    async with opened(request.param, tmp_path, manifest()) as engine:
        yield engine


def replica(engine: Engine, clock: float | None = None) -> BackendStore:
    """Another retriever on the same generation."""
    assert isinstance(engine.backend, ServerBackend)
    ledger = ServerLedger(engine.backend, time.time if clock is None else lambda: clock)
    return BackendStore(engine.backend, ledger)


async def writes_seen(engine: Engine) -> set[str]:
    """Writes of which a search may show chunks."""
    return {record.payload[Payload.WRITE] for record in await points(engine, hidden=False)}


async def points(engine: Engine, *, hidden: bool = True) -> list[models.Record]:
    """All points, or those that a search may show."""
    must_not = [] if hidden else engine.ledger.hidden("acme")
    records, _ = await engine.backend.scroll("acme", models.Filter(must_not=must_not), 10_000)
    return records


@pytest.mark.parametrize("step", range(_STEPS + 1))
async def test_a_commit_that_is_cut_off_is_finished_or_undone(engine: Engine, step: int) -> None:
    await engine.store.write([part("w1")])
    engine.server.cut_after = step
    with contextlib.suppress(Unavailable):
        await engine.store.write([part("w2", chunks=2, digest="y")])
    engine.server.cut_after = None
    in_force = (await replica(engine).stored("acme", ["d"]))["d"].write_id
    later = replica(engine)
    await later.sweep(time.time() + ABANDONED_AFTER + 1)

    assert in_force == ("w1" if step < 3 else "w2")
    assert await writes_seen(engine) == {in_force}
    assert await engine.ledger.usage("acme") == (Usage(1, 3) if in_force == "w1" else Usage(1, 2))
    assert len(await points(engine)) == 1 + (await engine.ledger.usage("acme")).chunks


@pytest.mark.parametrize("step", range(_STEPS + 1))
async def test_a_first_write_that_is_cut_off_is_finished_or_undone(engine: Engine, step: int) -> None:
    engine.server.cut_after = step
    with contextlib.suppress(Unavailable):
        await engine.store.write([part("w1")])
    engine.server.cut_after = None
    await replica(engine).sweep(time.time() + ABANDONED_AFTER + 1)

    assert await writes_seen(engine) == (set() if step < 3 else {"w1"})
    assert len(await points(engine)) == (0 if step < 3 else 4)


async def test_a_commit_that_replaced_is_cleared_up_at_the_next_sweep(engine: Engine) -> None:
    await engine.store.write([part("w1")])
    engine.server.cut_after = 3
    with pytest.raises(Unavailable):
        await engine.store.write([part("w2")])
    engine.server.cut_after = None
    await engine.store.sweep(time.time())

    assert await writes_seen(engine) == {"w2"}


async def test_a_write_that_is_sent_again_after_a_lost_answer_counts_once(engine: Engine) -> None:
    await engine.store.write([part("w1")])
    engine.server.cut_after = 3
    with pytest.raises(Unavailable):
        await engine.store.write([part("w2")])
    engine.server.cut_after = None
    await engine.ledger.commit([part("w2")])

    assert await writes_seen(engine) == {"w2"}
    assert len(await points(engine)) == 4


async def test_a_sweep_leaves_writes_alone_that_go_on(engine: Engine) -> None:
    await engine.store.write([part("w1", count=2)])
    await replica(engine).sweep(time.time() + ABANDONED_AFTER / 2)
    await engine.store.write([part("w1", start=2)])

    assert await writes_seen(engine) == {"w1"}


async def test_a_write_that_was_given_up_does_not_end(engine: Engine) -> None:
    await engine.store.write([part("w1", count=2)])
    await replica(engine).sweep(time.time() + ABANDONED_AFTER + 1)

    with pytest.raises(WriteLost):
        await engine.store.write([part("w1", start=2)])


async def test_chunks_that_come_after_their_write_was_given_up_are_swept(engine: Engine) -> None:
    await engine.store.write([part("w1", count=2)])
    [chunk, *_] = await engine.backend.retrieve(
        "acme", [str(record.id) for record in await points(engine)], vectors=True
    )
    await engine.store.abandon("acme", ["w1"])
    late = models.PointStruct(
        id=chunk.id, vector={}, payload={**chunk.payload, "record": False, "pending": 5.0}
    )
    await engine.backend.upsert("acme", [late])
    await engine.store.sweep(time.time())

    assert await points(engine) == []


async def test_a_write_of_which_chunks_are_missing_is_refused(engine: Engine) -> None:
    await engine.store.write([part("w1", count=2)])

    with pytest.raises(WriteLost):
        await engine.ledger.commit([part("w1", start=2)])
    assert await writes_seen(engine) == set()


@pytest.mark.parametrize("seed", range(5))
async def test_replicas_that_write_one_document_at_once_leave_one_write_whole(
    engine: Engine, seed: int
) -> None:
    order = random.Random(seed)

    async def write(number: int) -> None:
        await asyncio.sleep(order.random() / 100)
        await replica(engine).write([part(f"w{number}", chunks=number % 4 + 1)])

    await asyncio.gather(*(write(number) for number in range(8)))

    [in_force] = await writes_seen(engine)
    stored = (await engine.ledger.stored("acme", ["d"]))["d"]
    assert stored.write_id == in_force
    assert await engine.ledger.usage("acme") == Usage(1, stored.chunks)
    assert len(await points(engine)) == 1 + stored.chunks


async def test_a_write_that_another_came_before_counts_as_replaced_by_it(engine: Engine) -> None:
    async def another() -> None:
        await replica(engine).write([part("w3", chunks=2)])

    await engine.store.write([part("w1")])
    engine.server.meanwhile = another
    await engine.store.write([part("w2")])

    assert await writes_seen(engine) == {"w3"}
    assert len(await points(engine)) == 1 + 2


async def test_a_first_write_that_another_came_before_counts_as_replaced_by_it(engine: Engine) -> None:
    async def another() -> None:
        await replica(engine).write([part("w2", chunks=2)])

    engine.server.meanwhile = another
    await engine.store.write([part("w1")])

    assert await writes_seen(engine) == {"w2"}
    assert len(await points(engine)) == 1 + 2


async def test_a_deletion_during_writes_leaves_no_half_of_a_document(engine: Engine) -> None:
    async def delete() -> None:
        for _ in range(4):
            await engine.store.delete("acme", ["d"])
            await asyncio.sleep(0.002)

    await engine.store.write([part("w0")])
    await asyncio.gather(delete(), *(replica(engine).write([part(f"w{number}")]) for number in range(1, 5)))

    usage = await engine.ledger.usage("acme")
    assert usage in (Usage(0, 0), Usage(1, 3))
    assert len(await points(engine)) == usage.documents + usage.chunks
