"""Cuts the days of a PostgreSQL journal that are no longer kept: signed stubs first, then whole tables."""

import time
from collections.abc import Callable
from datetime import date

from psycopg import sql

from sluice_gateway.journal import stubs
from sluice_gateway.journal.chain import Keys, Row
from sluice_gateway.journal.postgres import partitions, schema
from sluice_gateway.journal.postgres.connecting import Connection, connect
from sluice_gateway.journal.postgres.partitions import DayTable
from sluice_gateway.journal.retention import first_kept, stub_after

#: Changes forgotten in one transaction.
_BATCH = 5000


class PostgresRetention:
    """Keeps so many whole days of a journal. Of several replicas one at a time does."""

    def __init__(self, url: str, keys: Keys, days: int, now: Callable[[], float] = time.time) -> None:
        self._url = url
        self._keys = keys
        self._days = days
        self._now = now

    def cut(self) -> None:
        """Removes what is older."""
        first = first_kept(self._now(), self._days)
        with connect(self._url) as connection:
            connection.autocommit = True
            locked = connection.execute(
                "SELECT pg_try_advisory_lock(%s)", (schema.RETENTION_LOCK,)
            ).fetchone()
            if not locked or not locked[0]:
                return
            for table in partitions.tables(connection):
                if table.day >= first:
                    break
                # Before the rows go, or an audit in between would miss them; and after nobody adds any, for good.
                self._sign(connection, table.day, first)
                if table.is_attached:
                    _detach(connection, table)
                self._sign(connection, table.day, first)
                connection.execute(sql.SQL("DROP TABLE {}").format(partitions.table_of(table.day)))
            _forget_changes(connection, first)

    def _sign(self, connection: Connection, day: date, first: date) -> None:
        ends = sql.SQL("SELECT DISTINCT ON (writer) {} FROM {} AS journal ORDER BY writer, seq DESC").format(
            sql.SQL(schema.COLUMNS), partitions.table_of(day)
        )
        cut, _ = stubs.read_all(self._keys.stubs, texts(connection))
        for last in map(Row._make, connection.execute(ends).fetchall()):
            if last.writer in cut and cut[last.writer].head.seq >= last.seq:
                continue
            stub = stub_after(last, first, self._now(), self._keys)
            connection.execute(
                "INSERT INTO journal_stubs (writer, stub) VALUES (%s, %s) "
                "ON CONFLICT (writer) DO UPDATE SET stub = excluded.stub",
                (last.writer, stubs.encoded(self._keys.stubs, stub)),
            )


def texts(connection: Connection) -> list[tuple[str, str]]:
    """Writers and the signed stubs stored for them."""
    found = connection.execute("SELECT writer, stub FROM journal_stubs").fetchall()
    return [(writer, stub) for writer, stub in found]


def _detach(connection: Connection, table: DayTable) -> None:
    # Neither readers nor writers wait for this; it waits for those that have the day in use.
    how = sql.SQL("FINALIZE" if table.is_leaving else "CONCURRENTLY")
    connection.execute(
        sql.SQL("ALTER TABLE journal DETACH PARTITION {} {}").format(partitions.table_of(table.day), how)
    )


def _forget_changes(connection: Connection, first: date) -> None:
    """Removes the changes whose rows are gone, but the newest, so that there is always a position."""
    query = (
        "DELETE FROM journal_changes WHERE day < %s AND position IN (SELECT position FROM journal_changes "
        "WHERE position < (SELECT MAX(position) FROM journal_changes) ORDER BY position LIMIT %s)"
    )
    while connection.execute(query, (first, _BATCH)).rowcount:
        pass
