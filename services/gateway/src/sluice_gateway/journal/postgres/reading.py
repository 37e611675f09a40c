"""Reads runs and changes from PostgreSQL; each function in one transaction, on one view of the journal."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from psycopg import sql

from sluice_gateway.domain.run import ChangesOf, Event, RunChange, RunRecord, fold
from sluice_gateway.journal.chain import Row
from sluice_gateway.journal.chain import event as event_of
from sluice_gateway.journal.postgres.connecting import Connection
from sluice_gateway.journal.postgres.schema import COLUMNS

#: Changes in one answer.
_PAGE = 500

#: How far back the newest changes are looked for where few are of the states asked for.
_LOOK_BACK = 100_000

_V7 = 7

# LATERAL with a LIMIT: for each change its row, in the one day that it names, whatever the planner thinks.
_ROWS_OF_CHANGES = """
FROM journal_changes AS change CROSS JOIN LATERAL (
    SELECT * FROM journal AS row
    WHERE row.day = change.day AND row.writer = change.writer AND row.seq = change.seq LIMIT 1
) AS journal
"""

_CHANGES = f"""
SELECT change.position, {COLUMNS} {_ROWS_OF_CHANGES}
WHERE change.tenant = %s AND change.position > %s AND change.position <= %s
  AND journal.state = ANY(%s) AND (%s = '' OR journal.pipeline = %s)
ORDER BY change.position {{}} LIMIT %s
"""

_STARTS = f"SELECT {COLUMNS} {_ROWS_OF_CHANGES} WHERE change.run_id = ANY(%s) AND change.kind = 'run_started'"

_RUNS = f"""
SELECT change.day, {COLUMNS} {_ROWS_OF_CHANGES}
WHERE change.tenant = %s AND change.kind = 'run_started' AND change.run_id < %s
ORDER BY change.run_id DESC LIMIT %s
"""

_ENDS = f"""
SELECT {COLUMNS} FROM journal
WHERE run_id = ANY(%s) AND kind = 'run_ended' AND day >= %s ORDER BY at, writer, seq
"""  # noqa: S608 - our own columns

# By time, then chain: a run that a restart has ended spans two writers.
_EVENTS = f"SELECT {COLUMNS} FROM journal WHERE run_id = %s AND day >= %s ORDER BY at, writer, seq"  # noqa: S608


def events(connection: Connection, run_id: str) -> list[Event]:
    """A run's events so far."""
    return [
        event_of(row) for row in _rows(connection.execute(_EVENTS, (run_id, first_day(run_id))).fetchall())
    ]


def runs(connection: Connection, tenant: str, limit: int, before: str | None) -> list[RunRecord]:
    """A tenant's runs, newest first."""
    # "~" is after every hexadecimal id.
    found = connection.execute(_RUNS, (tenant, before or "~", limit)).fetchall()
    if not found:
        return []
    starts = list(_rows(values[1:] for values in found))
    first = min(day for day, *_ in found)
    ends: dict[str, list[Row]] = {}
    for row in _rows(connection.execute(_ENDS, ([row.run_id for row in starts], first)).fetchall()):
        ends.setdefault(row.run_id, []).append(row)
    return [fold(event_of(row) for row in (start, *ends.get(start.run_id, ()))) for start in starts]


def position(connection: Connection) -> int:
    """The position of the newest change."""
    found = connection.execute("SELECT COALESCE(MAX(position), 0) FROM journal_changes").fetchone()
    return int(found[0]) if found else 0


def after(connection: Connection, which: ChangesOf, start: int) -> tuple[list[RunChange], int]:
    """Changes after a position, oldest first; see `Journal.changes`."""
    newest = position(connection)
    found = _changes(connection, which, start, newest, _PAGE, "ASC")
    return found, found[-1].position if len(found) == _PAGE else newest


def last(connection: Connection, which: ChangesOf, count: int) -> tuple[list[RunChange], int]:
    """The newest changes, oldest first; see `Journal.last_changes`."""
    newest = position(connection)
    return _changes(connection, which, newest - _LOOK_BACK, newest, count, "DESC")[::-1], newest


def _changes(
    connection: Connection, which: ChangesOf, start: int, end: int, limit: int, order: str
) -> list[RunChange]:
    states = [str(state) for state in which.states]
    values = (which.tenant, start, end, states, which.pipeline, which.pipeline, limit)
    query = sql.SQL(_CHANGES).format(sql.SQL(order))
    found = [(int(at), row) for at, *values in connection.execute(query, values) for row in _rows([values])]
    ids = list({row.run_id for _, row in found})
    starts = {row.run_id: row for row in _rows(connection.execute(_STARTS, (ids,)).fetchall())}
    return [RunChange(at, _as_it_was(row, starts.get(row.run_id))) for at, row in found]


def _as_it_was(row: Row, start: Row | None) -> RunRecord:
    """Retention may have cut the start."""
    known = [row] if start is None or start == row else [start, row]
    return fold(event_of(row) for row in known)


def _rows(found: Iterable[Sequence[Any]]) -> Iterable[Row]:
    return map(Row._make, found)


def first_day(run_id: str) -> date:
    """The first day on which there may be something of a run: its id says when it started, by a clock that another
    replica's may be behind."""
    try:
        parsed = uuid.UUID(run_id)
    except ValueError:
        return date.min
    if parsed.version != _V7:
        return date.min
    return datetime.fromtimestamp((parsed.int >> 80) / 1000, UTC).date() - timedelta(days=1)
