"""Reads the starts and ends of runs in the order in which they became durable."""

import sqlite3

from sluice_gateway.domain.run import ChangesOf, EventKind, RunChange, RunRecord, fold
from sluice_gateway.journal.chain import event as event_of
from sluice_gateway.journal.sqlite import schema

#: Changes in one answer.
_PAGE = 500

#: How far back the newest changes are looked for where few are of the states asked for.
_LOOK_BACK = 100_000

# CROSS keeps SQLite from starting with the journal.
_CHANGES = """
SELECT changes.position, changes.run_id, changes.kind, changes.writer, changes.seq
FROM changes CROSS JOIN journal ON journal.writer = changes.writer AND journal.seq = changes.seq
WHERE changes.tenant = ? AND changes.position > ? AND changes.position <= ?
  AND journal.state IN ({states}) AND (? = '' OR journal.pipeline = ?)
ORDER BY changes.position {order} LIMIT ?
"""


def position(connection: sqlite3.Connection) -> int:
    """The position of the newest change."""
    return int(connection.execute("SELECT COALESCE(MAX(position), 0) FROM changes").fetchone()[0])


def after(connection: sqlite3.Connection, which: ChangesOf, start: int) -> tuple[list[RunChange], int]:
    """Changes after a position, oldest first; see `Journal.changes`."""
    connection.execute("BEGIN")  # one view of the journal for all that follows
    newest = position(connection)
    found = _read(connection, which, start, newest, _PAGE, "ASC")
    return found, found[-1].position if len(found) == _PAGE else newest


def last(connection: sqlite3.Connection, which: ChangesOf, count: int) -> tuple[list[RunChange], int]:
    """The newest changes, oldest first; see `Journal.last_changes`."""
    connection.execute("BEGIN")
    newest = position(connection)
    return _read(connection, which, newest - _LOOK_BACK, newest, count, "DESC")[::-1], newest


def _read(
    connection: sqlite3.Connection, which: ChangesOf, start: int, end: int, limit: int, order: str
) -> list[RunChange]:
    query = _CHANGES.format(states=", ".join("?" for _ in which.states), order=order)
    values = (which.tenant, start, end, *which.states, which.pipeline, which.pipeline, limit)
    found = connection.execute(query, values).fetchall()
    return [RunChange(at, _record(connection, *change)) for at, *change in found]


def _record(connection: sqlite3.Connection, run_id: str, kind: str, writer: str, seq: int) -> RunRecord:
    events = list(schema.rows(connection, "run_id = ? AND kind = 'run_started'", run_id))
    if kind != EventKind.RUN_STARTED:
        events += schema.rows(connection, "writer = ? AND seq = ?", writer, seq)
    return fold(event_of(row) for row in events)
