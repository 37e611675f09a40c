"""The journal in SQLite: opens a new writer's chain, ends what a dead writer left open, reads runs back."""

import asyncio
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from sluice_gateway.domain.run import ChangesOf, Event, RunChange, RunRecord, fold
from sluice_gateway.journal import checkpoints, interrupted, keys, retention, stubs
from sluice_gateway.journal.chain import GENESIS, Head, Keys, Row, sealed
from sluice_gateway.journal.chain import event as event_of
from sluice_gateway.journal.checkpoints import Checkpoint
from sluice_gateway.journal.committing import committed
from sluice_gateway.journal.opening import opening
from sluice_gateway.journal.places import CHECKPOINTS, KEY
from sluice_gateway.journal.repeating import Repeating
from sluice_gateway.journal.sqlite import changes, locks, schema
from sluice_gateway.journal.sqlite.retention import SqliteRetention
from sluice_gateway.journal.sqlite.sink import SqliteSink
from sluice_gateway.journal.writer import Writer

T = TypeVar("T")
Values = TypeVarTuple("Values")

DATABASE = "journal.sqlite"

#: Rows at the end of a dead writer's chain in which the starts of its open runs are looked for. More than are
#: written in the time that a run may take, and few enough to be read while callers wait for the new gateway.
_LOOK_BACK = 500_000

_LEFT_OPEN = """
SELECT run_id FROM journal AS started
WHERE writer = ? AND kind = 'run_started'
  AND seq > (SELECT MAX(seq) FROM journal WHERE writer = ?) - ?
  AND NOT EXISTS (SELECT 1 FROM journal AS ended WHERE ended.run_id = started.run_id AND ended.kind = 'run_ended')
"""


class SqliteJournal:
    """`Journal` in `<data_dir>/journal.sqlite`. Several processes may write, each its own chain.

    Args:
        retention_days: Whole days that are kept; 0 keeps all.
    """

    def __init__(
        self,
        data_dir: Path,
        instance: str,
        *,
        key_file: Path | None = None,
        synchronous: str = "NORMAL",
        capacity: int = 65_536,
        retention_days: int = 0,
    ) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        folder = data_dir / CHECKPOINTS
        folder.mkdir(exist_ok=True)
        secret = keys.load_or_create(key_file or data_dir / KEY)
        path = data_dir / DATABASE
        connection = schema.connect(path, synchronous=synchronous)
        name = f"{instance}-{uuid.uuid4().hex[:12]}"
        self._lock = locks.lock(data_dir, name)
        opened = sealed(secret.rows, name, Head(0, GENESIS), _opening(connection, folder, secret))
        schema.insert(connection, [opened])
        head = Head(opened.seq, opened.hash)
        checkpoints.write(folder, secret.checkpoints, Checkpoint(name, head, time.time()))
        left_open = list(_ends_of_dead_writers(connection, data_dir))
        self._writer = Writer(SqliteSink(connection), folder, secret, name, head, capacity)
        for event in left_open:
            self._writer.append(event)
        self._readers = ThreadPoolExecutor(2, "journal-reader")
        self._path = path
        self._retention = (
            Repeating(
                "journal-retention", retention.INTERVAL, SqliteRetention(path, secret, retention_days).cut
            )
            if retention_days
            else None
        )

    def append(self, event: Event) -> None:
        """Queues an event; see `Journal.append`."""
        self._writer.append(event)

    async def commit(self) -> None:
        """Waits until all that was appended is durable; see `Journal.commit`."""
        await committed(self._writer.flush())

    async def run(self, run_id: str) -> RunRecord | None:
        """A run with its steps."""
        found = await self.events(run_id)
        return fold(found) if found else None

    async def runs(self, tenant: str, limit: int, before: str | None) -> list[RunRecord]:
        """A tenant's runs, newest first."""
        return await self._read(_runs, tenant, limit, before)

    async def events(self, run_id: str) -> list[Event]:
        """A run's events so far."""
        return await self._read(_events, run_id)

    async def position(self) -> int:
        """The position of the newest change."""
        return await self._read(changes.position)

    async def changes(self, which: ChangesOf, after: int) -> tuple[list[RunChange], int]:
        """Changes after a position; see `Journal.changes`."""
        return await self._read(changes.after, which, after)

    async def last_changes(self, which: ChangesOf, count: int) -> tuple[list[RunChange], int]:
        """The newest changes; see `Journal.last_changes`."""
        return await self._read(changes.last, which, count)

    def close(self) -> None:
        """Writes what is queued and lets go of the file."""
        if self._retention is not None:
            self._retention.stop()
        self._writer.close()
        self._readers.shutdown()
        self._lock.close()

    async def _read(self, reading: Callable[[sqlite3.Connection, *Values], T], *values: *Values) -> T:
        def read() -> T:
            connection = schema.connect_to_read(self._path)
            try:
                return reading(connection, *values)
            finally:
                connection.close()

        return await asyncio.get_running_loop().run_in_executor(self._readers, read)


def _events(connection: sqlite3.Connection, run_id: str) -> list[Event]:
    # By time, then chain: a run that a restart has ended spans two writers.
    found = schema.rows(connection, "run_id = ? ORDER BY at, writer, seq", run_id)
    return [event_of(row) for row in found]


def _runs(connection: sqlite3.Connection, tenant: str, limit: int, before: str | None) -> list[RunRecord]:
    starts = schema.rows(
        connection,
        "kind = 'run_started' AND tenant = ? AND run_id < ? ORDER BY run_id DESC LIMIT ?",
        tenant,
        before or "~",  # after every hexadecimal id
        limit,
    )
    return [_summary(connection, row) for row in list(starts)]


def _summary(connection: sqlite3.Connection, start: Row) -> RunRecord:
    ends = schema.rows(connection, "run_id = ? AND kind = 'run_ended'", start.run_id)
    return fold(event_of(row) for row in (start, *ends))


def _opening(connection: sqlite3.Connection, folder: Path, secret: Keys) -> Event:
    known, _ = checkpoints.read_all(folder, secret.checkpoints)
    heads = {writer: checkpoint.head for writer, checkpoint in known.items()}
    heads |= {writer: schema.head(connection, writer) for writer in schema.writers(connection)}
    cut, _ = stubs.read_all(secret.stubs, schema.stubs(connection))
    return opening(heads, cut)


def _ends_of_dead_writers(connection: sqlite3.Connection, data_dir: Path) -> Iterator[Event]:
    """Ends for the runs that writers which no longer live have left open."""
    for writer in locks.dead(data_dir):
        for (run_id,) in connection.execute(_LEFT_OPEN, (writer, writer, _LOOK_BACK)).fetchall():
            yield from interrupted.ends(_events(connection, run_id))
        locks.forget(data_dir, writer)
