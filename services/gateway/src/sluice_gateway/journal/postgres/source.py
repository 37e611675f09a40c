"""A PostgreSQL journal's rows, for audits and exports."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import psycopg

from sluice_gateway.journal.chain import Row
from sluice_gateway.journal.postgres import partitions, retention, schema
from sluice_gateway.journal.postgres.connecting import first_connection
from sluice_gateway.journal.postgres.reading import first_day
from sluice_gateway.journal.postgres.schema import COLUMNS
from sluice_gateway.journal.selection import Selection
from sluice_servicekit.errors import FailedPrecondition

#: Rows that are fetched at once.
_BATCH = 5000


class PostgresSource:
    """`Source` on a database, read in one view of it, day by day.

    Raises:
        Unavailable: there is no such server.
        FailedPrecondition: it holds no journal.
    """

    def __init__(self, url: str) -> None:
        self._connection = first_connection(url)
        self._connection.autocommit = False
        self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self._connection.read_only = True
        if not schema.exists(self._connection):
            self._connection.close()
            raise FailedPrecondition("there is no journal in this database")
        # From here on no day is dropped: whoever drops one waits for all that use the journal.
        self._connection.execute("SELECT 1 FROM journal LIMIT 1")

    def stubs(self) -> list[tuple[str, str]]:
        """Where chains were cut."""
        return retention.texts(self._connection)

    def checkpoints(self) -> list[tuple[str, str]]:
        """The checkpoints that lie beside the rows."""
        found = self._connection.execute("SELECT writer, checkpoint FROM journal_checkpoints").fetchall()
        return [(writer, checkpoint) for writer, checkpoint in found]

    def count(self, selection: Selection) -> int:
        """How many rows there are."""
        where, values = selection.conditions("%s")
        query = f"SELECT COUNT(*) FROM journal WHERE day >= %s AND {where}"  # noqa: S608 - values are bound
        found = self._connection.execute(query, (_first_day(selection), *values)).fetchone()
        return int(found[0]) if found else 0

    def rows(self, selection: Selection) -> Iterator[Row]:
        """The rows by day, writer and sequence: a writer's days never go back."""
        where, values = selection.conditions("%s")
        query = f"SELECT {COLUMNS} FROM journal WHERE day = %s AND {where} ORDER BY writer, seq"  # noqa: S608
        first = _first_day(selection)
        for day in (day for day in partitions.attached(self._connection) if day >= first):
            with self._connection.cursor("rows") as cursor:
                cursor.itersize = _BATCH
                cursor.execute(query, (day, *values))
                yield from map(Row._make, cursor)

    def close(self) -> None:
        """Lets go of the database."""
        self._connection.close()


def _first_day(selection: Selection) -> date:
    """Nothing that was selected lies in an earlier day: a row's day is its time's, or a later one."""
    since = date.min if selection.since is None else datetime.fromtimestamp(selection.since, UTC).date()
    return max(since, first_day(selection.run_id))
