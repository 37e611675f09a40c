"""What only a journal in PostgreSQL has to withstand: several replicas at once, and a server that goes away."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sluice_gateway.domain.run import ChangesOf, EventKind, RunState
from sluice_gateway.gateway import new_run_id
from sluice_gateway.journal import checkpoints, keys
from sluice_gateway.journal.chain import GENESIS, Head, Keys, Row, sealed
from sluice_gateway.journal.checkpoints import Checkpoint
from sluice_gateway.journal.places import CHECKPOINTS, KEY
from sluice_gateway.journal.postgres import PostgresJournal, leases, partitions, reading, schema
from sluice_gateway.journal.postgres.connecting import Connection, connect
from sluice_gateway.journal.postgres.retention import PostgresRetention
from sluice_gateway.journal.postgres.sink import PostgresSink
from sluice_gateway.journal.selection import Selection
from sluice_gateway.journal.sink import LaterError
from sluice_gateway.journal.sources import open_source, verified
from sluice_gateway.journal.verifying import Fault
from sluice_servicekit.errors import FailedPrecondition, Unavailable
from support.journals import BEAT, LEASE, PostgresJournals, events_of
from support.postgres import PostgresServer

pytestmark = pytest.mark.needs("postgres")

KEYS = Keys.derived(b"k" * 32)
ALL = ChangesOf("acme", tuple(RunState))


@pytest.fixture
def store(postgres_schema: str, tmp_path: Path) -> PostgresJournals:
    return PostgresJournals(tmp_path, postgres_schema)


@pytest.fixture
async def journal(store: PostgresJournals) -> AsyncIterator[PostgresJournal]:
    journal = store.open()
    assert isinstance(journal, PostgresJournal)
    yield journal
    journal.close()


@pytest.fixture
def connection(postgres_schema: str) -> Iterator[Connection]:
    """To a database with the journal's tables."""
    with connect(postgres_schema) as connection:
        schema.prepare(connection, KEYS.name)
        partitions.make_ahead(connection)
        yield connection


def _rows(count: int, at: float | None = None, head: Head | None = None) -> list[Row]:
    """A chain's rows, of runs that start and end."""
    found: list[Row] = []
    head = head or Head(0, GENESIS)
    while len(found) < count:
        for event in events_of(new_run_id(), at=at):
            row = sealed(KEYS.rows, "w", head, event)
            head = Head(row.seq, row.hash)
            found.append(row)
    return found[:count]


def _checkpoint(rows: list[Row]) -> Checkpoint:
    return Checkpoint("w", Head(rows[-1].seq, rows[-1].hash), 0.0)


async def _committed_soon(journal: Any) -> None:
    """Whoever asks waits, at first."""
    async with asyncio.timeout(8):
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await journal.commit()


async def test_a_reader_that_remembers_its_place_misses_nothing_of_several_writers(store: PostgresJournals):
    writers = [store.open(name) for name in "abcd"]
    written: list[str] = []
    seen: list[tuple[int, str]] = []
    done = asyncio.Event()

    async def write(journal: Any) -> None:
        for _ in range(40):
            run_id = new_run_id()
            start, *_, end = events_of(run_id)
            journal.append(start)
            await journal.commit()
            journal.append(end)
            await journal.commit()
            written.append(run_id)

    async def read() -> None:
        position, last = 0, False
        while not last:
            last = done.is_set()
            found, position = await writers[0].changes(ALL, position)
            seen.extend(
                (change.position, f"{change.record.run_id} {change.record.state}") for change in found
            )

    reading_ = asyncio.create_task(read())
    await asyncio.gather(*(write(journal) for journal in writers))
    done.set()
    await reading_
    for journal in writers:
        journal.close()
    expected = {f"{run_id} {state}" for run_id in written for state in ("running", "answered")}
    assert [place for place, _ in seen] == sorted({place for place, _ in seen})
    assert {what for _, what in seen} == expected
    assert len(seen) == len(expected)


async def test_positions_become_visible_in_their_order(postgres_schema: str, journal: PostgresJournal):
    """A commit that takes its time must not be overtaken by one with a later position."""
    connection, slow = connect(postgres_schema), connect(postgres_schema, autocommit=False)
    slow.execute("SELECT pg_advisory_xact_lock(%s)", (schema.CHANGES_LOCK,))
    slow.execute(
        "INSERT INTO journal_changes (tenant, run_id, kind, day, writer, seq) "
        "VALUES ('acme', 'slow', 'run_ended', '2026-01-01', 'x', 1)"
    )
    journal.append(events_of(new_run_id())[0])
    quick = asyncio.create_task(journal.commit())
    waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    async with asyncio.timeout(5):
        while not connection.execute(waiting).fetchone():  # noqa: ASYNC110 - another process's event
            await asyncio.sleep(0.01)
    assert reading.position(connection) == 0
    assert not quick.done()
    slow.commit()
    slow.close()
    await quick
    assert reading.position(connection) == 2
    connection.close()


async def test_events_wait_for_a_server_that_is_away_and_are_written_once(
    tmp_path: Path, stoppable_postgres: PostgresServer
):
    store = PostgresJournals(tmp_path, stoppable_postgres.new_schema())
    journals = [store.open("a"), store.open("b")]
    open_run, run_id = new_run_id(), new_run_id()
    start, *_, end = events_of(open_run)
    journals[0].append(start)
    await journals[0].commit()
    stoppable_postgres.stop()
    for event in events_of(run_id):
        journals[0].append(event)
    late = asyncio.create_task(journals[0].commit())
    with pytest.raises(Unavailable) as raised:
        await _committed_soon(journals[0])
    assert raised.value.reason == "JOURNAL_UNAVAILABLE"
    with pytest.raises(Unavailable):
        await journals[0].runs("acme", 1, None)
    stoppable_postgres.start()
    await late
    record = await journals[0].run(run_id)
    assert record is not None
    assert record.state is RunState.ANSWERED
    assert len(await journals[0].events(run_id)) == 4
    await asyncio.sleep(
        2 * BEAT
    )  # the other replica's chance to take it for dead: nobody could renew a lease
    journals[0].append(end)
    await journals[0].commit()
    running = await journals[1].run(open_run)
    assert running is not None
    assert running.state is RunState.ANSWERED
    for journal in journals:
        journal.close()
    assert store.audit().passed


def test_rows_whose_commit_was_not_confirmed_are_written_once(
    connection: Connection, postgres_schema: str, monkeypatch: pytest.MonkeyPatch
):
    sink = PostgresSink(postgres_schema, KEYS)
    rows = _rows(8)
    write = sink._write

    def loses_the_answer(*arguments: Any) -> None:
        write(*arguments)
        monkeypatch.undo()
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(sink, "_write", loses_the_answer)
    with pytest.raises(LaterError):
        sink.insert(rows, _checkpoint(rows))
    sink.insert(rows, _checkpoint(rows))
    sink._uncertain = False  # as where the first commit comes through only after we have looked
    sink._day = date.min
    sink.insert(rows, _checkpoint(rows))
    more = _rows(4, head=Head(rows[-1].seq, rows[-1].hash))
    sink.insert(more, _checkpoint(more))
    assert connection.execute("SELECT COUNT(*) FROM journal").fetchone() == (12,)
    assert connection.execute("SELECT COUNT(*) FROM journal_changes").fetchone() == (6,)

    other = [more[-1]._replace(hash="f" * 64)]  # the same place with other content is no such case
    with pytest.raises(psycopg.errors.UniqueViolation):
        sink.insert(other, _checkpoint(other))
    sink.close()


@pytest.mark.parametrize(
    "error",
    [psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.DiskFull],
)
def test_rows_wait_for_what_somebody_can_mend(
    connection: Connection, postgres_schema: str, monkeypatch: pytest.MonkeyPatch, error: type[psycopg.Error]
):
    sink = PostgresSink(postgres_schema, KEYS)
    rows = _rows(4)

    def refuses(*_: object) -> None:
        raise error("not now")

    monkeypatch.setattr(partitions, "make", refuses)
    with pytest.raises(LaterError):
        sink.insert(rows, _checkpoint(rows))
    monkeypatch.undo()
    sink.insert(rows, _checkpoint(rows))
    sink.close()
    assert connection.execute("SELECT COUNT(*) FROM journal").fetchone() == (4,)


def test_days_are_made_when_they_come_and_never_go_back(connection: Connection, postgres_schema: str):
    midnight = datetime(2027, 3, 1, tzinfo=UTC).timestamp()
    sink = PostgresSink(postgres_schema, KEYS)
    rows = [*_rows(1, midnight - 1)]
    rows += _rows(1, midnight, Head(rows[-1].seq, rows[-1].hash))
    rows += _rows(1, midnight - 3600, Head(rows[-1].seq, rows[-1].hash))  # a clock that was set back
    sink.insert(rows, _checkpoint(rows))
    sink.close()
    days = connection.execute("SELECT day FROM journal ORDER BY seq").fetchall()
    assert days == [(date(2027, 2, 28),), (date(2027, 3, 1),), (date(2027, 3, 1),)]


def test_making_a_day_waits_for_no_reader(connection: Connection, postgres_schema: str):
    reader = connect(postgres_schema, autocommit=False)
    reader.execute("SELECT COUNT(*) FROM journal")
    connection.execute("SET lock_timeout = '2s'")
    partitions.make(connection, date(2030, 1, 1))
    assert date(2030, 1, 1) in partitions.attached(connection)
    reader.close()


def test_a_row_is_written_where_somebody_has_taken_its_day_away(connection: Connection, postgres_schema: str):
    sink = PostgresSink(postgres_schema, KEYS)
    rows = _rows(1)
    sink.insert(rows, _checkpoint(rows))
    for day in partitions.attached(connection):
        connection.execute(psycopg.sql.SQL("DROP TABLE {}").format(partitions.table_of(day)))
    more = _rows(1, head=Head(rows[-1].seq, rows[-1].hash))
    with pytest.raises(LaterError):
        sink.insert(more, _checkpoint(more))
    sink.insert(more, _checkpoint(more))
    sink.close()


def test_who_is_silent_for_less_than_a_lease_lives(connection: Connection):
    leases.renew(connection, "quiet", 1.0, 0.5)
    assert leases.claim(connection, "b", 1.0, expired=True) is None
    time.sleep(1.0)
    assert leases.claim(connection, "b", 1.0, expired=True) is None, "a lease, and the time between two beats"
    time.sleep(0.6)
    assert leases.claim(connection, "b", 1.0, expired=False) is None, "nobody knows who could have renewed"
    assert leases.claim(connection, "b", 1.0, expired=True) == "quiet"
    assert leases.claim(connection, "c", 1.0, expired=True) is None, "one ends its runs"
    leases.renew(connection, "quiet", 1.0, 0.5)  # it was only very slow
    leases.settle(connection, "b", "quiet")
    assert connection.execute("SELECT holder FROM journal_leases").fetchall() == [("quiet",)]


def test_who_closes_is_followed_at_once(connection: Connection):
    leases.renew(connection, "done", 60.0, 0.5)
    leases.end(connection, "done")
    assert leases.claim(connection, "b", 1.0, expired=False) == "done"
    assert leases.claim(connection, "c", 1.0, expired=False) is None
    leases.settle(connection, "b", "done")
    assert connection.execute("SELECT COUNT(*) FROM journal_leases").fetchone() == (0,)


async def test_nobody_is_taken_for_dead_by_who_has_not_watched_for_a_lease(store: PostgresJournals):
    """After the server was away, or a process was stopped for a while, leases have run out and all may live."""
    living = store.open("living", lease=1.0, beat=0.6)
    run_id = new_run_id()
    living.append(events_of(run_id)[0])
    await living.commit()
    store.execute("UPDATE journal_leases SET expires = clock_timestamp() - interval '1 hour'")
    newcomer = store.open("newcomer", lease=1.0, beat=0.6)
    await asyncio.sleep(0.3)  # its first beat
    await newcomer.commit()
    record = await newcomer.run(run_id)
    assert record is not None
    assert record.state is RunState.RUNNING
    newcomer.close()
    living.close()


async def test_a_claim_whose_holder_dies_is_taken_over(store: PostgresJournals, journal: PostgresJournal):
    dead = store.open("dead")
    run_id = new_run_id()
    dead.append(events_of(run_id)[0])
    await dead.commit()
    store.kill(dead)
    with connect(store.url) as other:
        other.execute("UPDATE journal_leases SET closed = true WHERE writer LIKE 'dead-%'")
        leases.claim(other, "gone", LEASE, expired=False)
    async with asyncio.timeout(30):
        while True:
            record = await journal.run(run_id)
            assert record is not None
            if record.state is RunState.FAILED:
                break
            await asyncio.sleep(0.05)
    dead.close()


_WRITES_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from sluice_gateway.gateway import new_run_id
from sluice_gateway.journal.postgres import PostgresJournal
from support.journals import BEAT, LEASE, events_of

async def main():
    journal = PostgresJournal(sys.argv[1], Path(sys.argv[2]), "killed", lease=LEASE, beat=BEAT)
    while True:
        start, *rest = events_of(new_run_id())
        journal.append(start)
        await journal.commit()
        print(start.run_id, flush=True)
        for event in rest:
            journal.append(event)

asyncio.run(main())
"""


async def test_a_replica_that_is_killed_as_it_writes_loses_nothing_that_was_committed(
    store: PostgresJournals,
):
    survivor = store.open("survivor")
    replica = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _WRITES_UNTIL_KILLED,
        store.url,
        str(store.folder),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=asyncio.subprocess.PIPE,
    )
    assert replica.stdout is not None
    async with asyncio.timeout(60):
        committed = [(await replica.stdout.readline()).decode().strip() for _ in range(50)]
        replica.kill()
        committed += (await replica.stdout.read()).decode().split()
        await replica.wait()
        while True:
            records = await survivor.runs("acme", 1000, None)
            if all(record.ended is not None for record in records):
                break
            await asyncio.sleep(0.05)
    assert set(committed) <= {record.run_id for record in records}
    found, _ = await survivor.changes(ALL, 0)
    assert len(found) == len({(change.record.run_id, change.record.state) for change in found})
    survivor.close()
    assert store.audit().passed


async def test_every_replica_keeps_the_checkpoints_of_all(store: PostgresJournals, tmp_path: Path):
    journal = store.open("a")
    for event in events_of(new_run_id()):
        journal.append(event)
    await journal.commit()
    (name,) = [file.stem for file in store.checkpoints.glob("*.json")]
    elsewhere = tmp_path / "elsewhere"
    witness = PostgresJournal(store.url, elsewhere, "b", key_file=store.folder / KEY, lease=LEASE, beat=BEAT)
    secret = keys.load(store.folder / KEY)
    async with asyncio.timeout(5):
        while checkpoints.read(elsewhere / CHECKPOINTS, secret.checkpoints, name) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    known = checkpoints.read(elsewhere / CHECKPOINTS, secret.checkpoints, name)
    assert known is not None
    assert known.head.seq == 5
    witness.close()
    journal.close()


async def test_another_key_is_refused(store: PostgresJournals, tmp_path: Path, journal: PostgresJournal):
    with pytest.raises(FailedPrecondition, match="SLUICE_JOURNAL_KEY_FILE"):
        PostgresJournal(store.url, tmp_path / "elsewhere", "b")


def test_no_server_is_unavailable(tmp_path: Path):
    with pytest.raises(Unavailable):
        PostgresJournal("postgresql://postgres@127.0.0.1:1/none", tmp_path, "a")


def test_retention_waits_for_an_audit_and_finishes_what_broke_off(
    connection: Connection, postgres_schema: str
):
    now = time.time()
    sink = PostgresSink(postgres_schema, KEYS)
    rows = _rows(4, now - 9 * 86400)
    sink.insert(rows, _checkpoint(rows))
    more = _rows(4, now, Head(rows[-1].seq, rows[-1].hash))
    sink.insert(more, _checkpoint(more))
    sink.close()
    retention = PostgresRetention(postgres_schema, KEYS, 3, lambda: now)
    auditing = open_source(Path(), postgres_schema)
    found = auditing.rows(Selection())
    first = next(found)
    connection.execute("SET statement_timeout = '200ms'")
    day = (datetime.fromtimestamp(now, UTC) - timedelta(days=9)).date()
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute(
            psycopg.sql.SQL("ALTER TABLE journal DETACH PARTITION {} CONCURRENTLY").format(
                partitions.table_of(day)
            )
        )
    assert [first, *found] == rows + more
    auditing.close()
    retention.cut()
    assert day not in [table.day for table in partitions.tables(connection)]
    auditing = open_source(Path(), postgres_schema)
    assert list(auditing.rows(Selection())) == more
    assert [writer for writer, _ in auditing.stubs()] == ["w"]
    auditing.close()
    assert connection.execute("SELECT COUNT(*) FROM journal_changes").fetchone() == (2,)


def test_an_audit_finds_a_day_that_was_dropped_without_a_stub(
    connection: Connection, postgres_schema: str, tmp_path: Path
):
    now = time.time()
    sink = PostgresSink(postgres_schema, KEYS)
    rows = _rows(4, now - 86400)
    rows += _rows(4, now, Head(rows[-1].seq, rows[-1].hash))
    sink.insert(rows, _checkpoint(rows))
    sink.close()
    assert verified(tmp_path, KEYS, postgres_schema).passed
    connection.execute(
        psycopg.sql.SQL("DROP TABLE {}").format(partitions.table_of(partitions.attached(connection)[0]))
    )
    report = verified(tmp_path, KEYS, postgres_schema)
    assert [finding.fault for finding in report.findings] == [Fault.MISSING_ROWS]


def test_only_one_day_is_read_for_a_run(connection: Connection, postgres_schema: str):
    """Days before a run's start are left out when its rows are looked for, and a change's row is found in its day."""
    for ahead in range(3, 40):
        partitions.make(connection, partitions.today() - timedelta(days=ahead))
    sink = PostgresSink(postgres_schema, KEYS)
    rows = _rows(8)
    sink.insert(rows, _checkpoint(rows))
    sink.close()
    plan = connection.execute(
        "EXPLAIN " + reading._EVENTS, (rows[0].run_id, reading.first_day(rows[0].run_id))
    ).fetchall()
    assert sum("Index Scan" in str(line) for line in plan) <= 4
    assert [event.kind for event in reading.events(connection, rows[0].run_id)] == [
        EventKind.RUN_STARTED,
        EventKind.STEP_STARTED,
        EventKind.STEP_ENDED,
        EventKind.RUN_ENDED,
    ]
    found, _ = reading.after(connection, ALL, 0)
    assert len(found) == 4
