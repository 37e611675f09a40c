"""A writer's rows into PostgreSQL, by COPY."""

import contextlib
from collections.abc import Sequence
from datetime import UTC, date, datetime

import psycopg

from sluice_gateway.domain.run import EventKind
from sluice_gateway.journal import checkpoints
from sluice_gateway.journal.chain import Keys, Row
from sluice_gateway.journal.checkpoints import Checkpoint
from sluice_gateway.journal.postgres import partitions, schema
from sluice_gateway.journal.postgres.connecting import PASSING, Connection, connect
from sluice_gateway.journal.sink import LaterError

_COPY = f"COPY journal ({', '.join(Row._fields)}, day) FROM STDIN"

_CHANGES = """
INSERT INTO journal_changes (tenant, run_id, kind, day, writer, seq)
SELECT tenant, run_id, kind, day, %s, seq
FROM unnest(%s::text[], %s::text[], %s::text[], %s::date[], %s::bigint[]) WITH ORDINALITY
    AS change (tenant, run_id, kind, day, seq, place)
ORDER BY place
ON CONFLICT (run_id, kind) DO NOTHING
"""

_CHECKPOINT = """
INSERT INTO journal_checkpoints (writer, checkpoint) VALUES (%s, %s)
ON CONFLICT (writer) DO UPDATE SET checkpoint = excluded.checkpoint
"""

_CHANGED = (EventKind.RUN_STARTED, EventKind.RUN_ENDED)


class PostgresSink:
    """`Sink` on a connection of its own, which is opened again when it is lost."""

    def __init__(self, url: str, keys: Keys) -> None:
        self._url = url
        self._keys = keys
        self._connection: Connection | None = None
        self._days: set[date] = set()
        self._day = date.min
        self._uncertain = False

    def insert(self, rows: Sequence[Row], checkpoint: Checkpoint) -> None:
        """Writes all rows or none; see `Sink.insert`."""
        days = self._placed(rows)
        try:
            connection = self._connected()
            if not (self._uncertain and _is_there(connection, rows[-1], days[-1])):
                self._write(connection, rows, days, checkpoint)
        except psycopg.errors.UniqueViolation:
            # A commit of which we were not told has come through meanwhile.
            if not self._has_been_written(rows[-1], days[-1]):
                raise
        except psycopg.errors.CheckViolation as error:
            self._days.clear()  # a day's table is gone, by another hand
            self._let_go()
            raise LaterError("the day's table is missing") from error
        except (psycopg.DataError, psycopg.IntegrityError):
            self._let_go()
            raise
        except psycopg.Error as error:  # away, full, a standby, a right that is missing: somebody can mend it
            self._uncertain = True
            self._let_go()
            raise LaterError(f"{type(error).__name__}: {error}") from error
        self._uncertain = False
        self._day = days[-1]

    def close(self) -> None:
        """Lets go of the connection."""
        self._let_go()

    def _placed(self, rows: Sequence[Row]) -> list[date]:
        """The rows' days. They never go back, and are the same when the same rows are placed again."""
        days, day = [], self._day
        for row in rows:
            day = max(day, datetime.fromtimestamp(row.at, UTC).date())
            days.append(day)
        return days

    def _write(
        self, connection: Connection, rows: Sequence[Row], days: Sequence[date], checkpoint: Checkpoint
    ) -> None:
        for day in set(days) - self._days:
            connection.commit()
            connection.autocommit = True
            partitions.make(connection, day)
            connection.autocommit = False
            self._days.add(day)
        with connection.cursor() as cursor:
            with cursor.copy(_COPY) as copy:
                for row, day in zip(rows, days, strict=True):
                    copy.write_row((*row, day))
            # In one go, commit included: the lock is held for as long as the server needs, not the network.
            with connection.pipeline():
                changed = [
                    (row.tenant, row.run_id, row.kind, day, row.seq)
                    for row, day in zip(rows, days, strict=True)
                    if row.kind in _CHANGED
                ]
                cursor.execute(
                    _CHECKPOINT,
                    (checkpoint.writer, checkpoints.encoded(self._keys.checkpoints, checkpoint)),
                )
                if changed:
                    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (schema.CHANGES_LOCK,))
                    columns = [list(column) for column in zip(*changed, strict=True)]
                    cursor.execute(_CHANGES, (checkpoint.writer, *columns))
                connection.commit()

    def _has_been_written(self, row: Row, day: date) -> bool:
        self._let_go()
        try:
            return _is_there(self._connected(), row, day)
        except PASSING as error:
            self._let_go()
            raise LaterError(f"{type(error).__name__}: {error}") from error

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._url, autocommit=False)
        return self._connection

    def _let_go(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
            self._connection = None


def _is_there(connection: Connection, row: Row, day: date) -> bool:
    query = "SELECT hash FROM journal WHERE writer = %s AND seq = %s AND day = %s"
    found = connection.execute(query, (row.writer, row.seq, day)).fetchone()
    connection.rollback()
    return found is not None and found[0] == row.hash
