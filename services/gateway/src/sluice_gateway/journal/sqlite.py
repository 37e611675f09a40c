"""The journal in SQLite: opens a new writer's chain, ends what a dead writer left open, reads runs back."""

import asyncio
import fcntl
import json
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TypeVar, TypeVarTuple

from sluice_gateway.domain.run import (
    ChangesOf,
    Event,
    EventKind,
    RunChange,
    RunRecord,
    RunState,
    StepState,
    fold,
)
from sluice_gateway.journal import changes, checkpoints, keys, schema
from sluice_gateway.journal.chain import GENESIS, WRITER_OPENED, Head, Keys, Row, sealed
from sluice_gateway.journal.checkpoints import Checkpoint
from sluice_gateway.journal.writer import Writer
from sluice_servicekit.errors import Unavailable

T = TypeVar("T")
Values = TypeVarTuple("Values")

DATABASE = "journal.sqlite"
CHECKPOINTS = "checkpoints"
KEY = "journal.key"
_LOCKS = "writers"

#: Seconds a caller waits for its events to be durable.
_COMMIT_PATIENCE = 10.0


#: Rows at the end of a dead writer's chain in which the starts of its open runs are looked for. More than are
#: written in the time that a run may take, and few enough to be read while callers wait for the new gateway.
_LOOK_BACK = 500_000

_LEFT_OPEN = """
SELECT run_id FROM journal AS started
WHERE writer = ? AND kind = 'run_started'
  AND detail NOT LIKE '%"executor":"standard"%'  -- another process goes on with those
  AND seq > (SELECT MAX(seq) FROM journal WHERE writer = ?) - ?
  AND NOT EXISTS (SELECT 1 FROM journal AS ended WHERE ended.run_id = started.run_id AND ended.kind = 'run_ended')
"""


class SqliteJournal:
    """`Journal` in `<data_dir>/journal.sqlite`. Several processes may write, each its own chain."""

    def __init__(
        self,
        data_dir: Path,
        instance: str,
        *,
        key_file: Path | None = None,
        synchronous: str = "NORMAL",
        capacity: int = 65_536,
    ) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        folder = data_dir / CHECKPOINTS
        folder.mkdir(exist_ok=True)
        secret = keys.load_or_create(key_file or data_dir / KEY)
        path = data_dir / DATABASE
        connection = schema.connect(path, synchronous=synchronous)
        name = f"{instance}-{uuid.uuid4().hex[:12]}"
        self._lock = _lock(data_dir / _LOCKS, name)
        opened = sealed(secret.rows, name, Head(0, GENESIS), _opening(connection, folder, secret))
        schema.insert(connection, [opened])
        head = Head(opened.seq, opened.hash)
        checkpoints.write(folder, secret.checkpoints, Checkpoint(name, head, time.time()))
        left_open = list(_ends_of_dead_writers(connection, data_dir / _LOCKS))
        self._writer = Writer(connection, folder, secret, name, head, capacity)
        for event in left_open:
            self._writer.append(event)
        self._readers = ThreadPoolExecutor(2, "journal-reader")
        self._path = path

    def append(self, event: Event) -> None:
        """Queues an event; see `Journal.append`."""
        self._writer.append(event)

    async def commit(self) -> None:
        """Waits until all that was appended is durable; see `Journal.commit`."""
        durable = asyncio.wrap_future(self._writer.flush())
        try:
            # Not `wait_for`: before Python 3.12 it loses a cancellation that comes as the future is done.
            async with asyncio.timeout(_COMMIT_PATIENCE):
                await durable
        except TimeoutError:
            raise Unavailable("the journal did not commit in time", reason="JOURNAL_UNAVAILABLE") from None

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
    return [schema.event(row) for row in found]


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
    ends = schema.rows(
        connection,
        "run_id = ? AND kind IN ('run_ended', 'run_resumed') ORDER BY at, writer, seq",
        start.run_id,
    )
    return fold(schema.event(row) for row in (start, *ends))


def _lock(folder: Path, name: str) -> IO[bytes]:
    """Held while the writer lives; the kernel lets go of it when the process dies, however it dies."""
    folder.mkdir(exist_ok=True)
    file = (folder / f"{name}.lock").open("wb")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _opening(connection: sqlite3.Connection, folder: Path, secret: Keys) -> Event:
    """A writer's first event; it names every chain known, so that none of them can vanish unseen."""
    known, _ = checkpoints.read_all(folder, secret.checkpoints)
    heads = {writer: [checkpoint.head.seq, checkpoint.head.hash] for writer, checkpoint in known.items()}
    for writer, seq, hash_ in connection.execute(
        "SELECT writer, MAX(seq), hash FROM journal GROUP BY writer"
    ):  # SQLite takes the bare column from the row of the maximum
        heads[writer] = [seq, hash_]
    return Event(
        run_id="",
        tenant="",
        kind=WRITER_OPENED,  # type: ignore[arg-type]  # a row of the chain, of no run
        at=time.time(),
        detail=json.dumps({"heads": heads}, sort_keys=True, separators=(",", ":")),
    )


def _ends_of_dead_writers(connection: sqlite3.Connection, locks: Path) -> Iterator[Event]:
    """Ends for the runs that writers which no longer live have left open."""
    dead = [file.stem for file in locks.glob("*.lock") if _is_dead(file)]
    for writer in dead:
        for (run_id,) in connection.execute(_LEFT_OPEN, (writer, writer, _LOOK_BACK)).fetchall():
            rows = schema.rows(connection, "run_id = ? ORDER BY at, writer, seq", run_id)
            yield from _interrupted(fold(schema.event(row) for row in rows))
        (locks / f"{writer}.lock").unlink(missing_ok=True)


def _interrupted(record: RunRecord) -> Iterator[Event]:
    now, reason = time.time(), "GATEWAY_RESTARTED"
    for step in record.steps:
        if step.state is StepState.RUNNING:
            yield Event(
                run_id=record.run_id,
                tenant=record.tenant,
                kind=EventKind.STEP_ENDED,
                at=now,
                pipeline=record.pipeline,
                step=step.name,
                attempt=step.attempt,
                state=StepState.FAILED,
                reason=reason,
            )
    yield Event(
        run_id=record.run_id,
        tenant=record.tenant,
        kind=EventKind.RUN_ENDED,
        at=now,
        pipeline=record.pipeline,
        state=RunState.FAILED,
        reason=reason,
    )


def _is_dead(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)
