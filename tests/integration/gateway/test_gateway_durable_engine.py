"""The engine and what recovery writes into DBOS's own tables, held to the DBOS that is installed, on both databases."""

import asyncio
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from sluice_gateway.domain.run import RunState
from sluice_gateway.durable import leases
from sluice_gateway.durable.leases import Lease, Leases
from sluice_gateway.durable.locks import ExecutorLocks
from sluice_gateway.durable.port import Progress
from sluice_gateway.storage.database import Database
from support.durable import STEPS, MessageWorld, durable, pipeline

LONG = pipeline(generate={"timeout": "90s"})


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs("postgres"))])
def url(request: pytest.FixtureRequest) -> str:
    return "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


async def test_run_of_a_dead_executor_is_taken_by_one_alone_and_the_dead_one_records_no_more(
    tmp_path: Path, url: str
):
    world = MessageWorld()
    world.wait["generate"] = 90
    async with durable(tmp_path, world, spec=LONG, url=url) as bench:
        tables, run_id = bench.engine.tables, await bench.start()
        await world.called["generate"].wait()
        [(found, executor)] = await asyncio.to_thread(tables.orphans, ["somebody-else"])
        assert found == run_id
        assert await asyncio.to_thread(tables.orphans, [executor]) == []
        assert not await asyncio.to_thread(tables.take, run_id, "somebody-else")
        world.wait["generate"] = 0
        taken = [await asyncio.to_thread(tables.take, run_id, executor) for _ in range(2)]
        assert taken == [True, False]
        record = await bench.ended(run_id)
    assert (record.state, record.resumed) == (RunState.ANSWERED, 1)
    assert world.calls == [*STEPS[:4], "generate", *STEPS[4:]]


async def test_run_of_a_version_that_nobody_executes_is_adopted_once(tmp_path: Path, url: str):
    world = MessageWorld()
    world.wait["generate"] = 90
    async with durable(tmp_path, world, spec=LONG, url=url) as bench:
        tables, run_id = bench.engine.tables, await bench.start()
        await world.called["generate"].wait()
        assert await asyncio.to_thread(tables.outdated, ["9"]) == []  # it is being executed
        assert list(await bench.engine.references(run_id)) == list(STEPS[:4])
        await bench.engine.cancel(run_id)
        with bench.engine.tables._system.engine.begin() as connection:
            runs = tables._runs
            waits = sa.update(runs).values(status="ENQUEUED", queue_name="nobody's")
            connection.execute(waits.where(runs.c.workflow_uuid == run_id))
        assert await asyncio.to_thread(tables.outdated, ["1"]) == []
        assert await asyncio.to_thread(tables.outdated, ["9"]) == [run_id]
        assert not await asyncio.to_thread(tables.adopt, run_id, "9", ["1", "9"])  # somebody has it
        assert await asyncio.to_thread(tables.adopt, run_id, "9", ["9"])
        assert not await asyncio.to_thread(tables.adopt, run_id, "9", ["9"])
        assert not await bench.engine.references(run_id)


async def test_runs_that_are_over_are_forgotten_and_those_that_go_on_are_not(tmp_path: Path, url: str):
    world = MessageWorld()
    async with durable(tmp_path, world, spec=LONG, url=url) as bench:
        over = [await bench.start() for _ in range(3)]
        for run_id in over:
            await bench.ended(run_id)
        world.wait["generate"] = 90
        going = await bench.start()
        assert await bench.engine.forget(time.time() - 60, 10) == 0
        assert await bench.engine.forget(time.time() + 60, 2) == 2
        assert await bench.engine.forget(time.time() + 60, 2) == 1
        found = await bench.engine.find(going)
        assert found is not None
        assert (found.progress, found.tenant, found.pipeline) == (Progress.ACTIVE, "acme", "default")
        assert [await bench.engine.find(run_id) for run_id in over] == [None] * 3


async def test_engine_keeps_no_content(tmp_path: Path):
    world = MessageWorld()
    async with durable(tmp_path, world) as bench:
        await bench.ended(await bench.start())
    kept = _content(tmp_path)
    assert b"generate~" in kept
    for content in (b"How long", b"forty", b"c4n4ry", b"a.md", b"ada"):
        assert content not in kept


def _content(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("durable.sqlite*"))


async def test_lease_that_is_not_renewed_runs_out(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch):
    database = Database(tmp_path, url)
    one, two = (Leases(database, Lease(name, "1")) for name in ("one", "two"))
    try:
        assert await one.renew() == [Lease("one", "1")]
        assert {lease.executor for lease in await two.renew()} == {"one", "two"}
        monkeypatch.setattr(leases, "LEASE", -1.0)
        await one.renew()
        monkeypatch.setattr(leases, "LEASE", 10.0)
        assert await two.renew() == [Lease("two", "1")]
        assert {lease.executor for lease in await one.renew()} == {"one", "two"}
        await one.release()
        assert await two.renew() == [Lease("two", "1")]
    finally:
        database.close()


def test_lock_tells_the_dead_from_the_living(tmp_path: Path):
    living, dead = ExecutorLocks(tmp_path, "living"), ExecutorLocks(tmp_path, "dead")
    assert living.dead() == []
    dead.close()
    assert living.dead() == ["dead"]
    living.forget("dead")
    assert living.dead() == []
    living.close()
