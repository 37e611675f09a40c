"""The journal's days: one table for each, made ahead of time, attached and detached without holding anybody up."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from psycopg import sql

from sluice_gateway.journal.postgres import schema
from sluice_gateway.journal.postgres.connecting import Connection

#: Days that are made ahead.
_AHEAD = 2

_PREFIX = "journal_d"

_TABLES = """
SELECT child.relname, inherited.inhrelid IS NOT NULL, COALESCE(inherited.inhdetachpending, false)
FROM pg_class AS child LEFT JOIN pg_inherits AS inherited
    ON inherited.inhrelid = child.oid AND inherited.inhparent = to_regclass('journal')
WHERE child.relkind = 'r' AND child.relname ~ '^journal_d[0-9]{8}$'
    AND child.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('journal'))
ORDER BY child.relname
"""


@dataclass(frozen=True, slots=True)
class DayTable:
    """A day's table."""

    day: date
    is_attached: bool
    is_leaving: bool
    """Its detaching has begun."""


def today() -> date:
    """The day by this machine's clock, in UTC."""
    return datetime.now(UTC).date()


def table_of(day: date) -> sql.Identifier:
    """The day's table."""
    return sql.Identifier(f"{_PREFIX}{day:%Y%m%d}")


def make_ahead(connection: Connection) -> None:
    """Makes the tables of today and of the days to come."""
    for ahead in range(_AHEAD + 1):
        make(connection, today() + timedelta(days=ahead))


def make(connection: Connection, day: date) -> None:
    """Makes a day's table where there is none.

    A table that is attached takes a weaker lock than one made in place: nobody waits for whoever reads the journal
    at midnight, nor does whoever writes wait for this.
    """
    if day in attached(connection):
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (schema.SCHEMA_LOCK,))
        if day in attached(connection):
            return
        name = table_of(day)
        connection.execute(sql.SQL("CREATE TABLE IF NOT EXISTS {} (LIKE journal INCLUDING ALL)").format(name))
        connection.execute(
            sql.SQL("ALTER TABLE journal ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                name, sql.Literal(day), sql.Literal(day + timedelta(days=1))
            )
        )


def attached(connection: Connection) -> list[date]:
    """The days whose tables are in use, in their order."""
    return [table.day for table in tables(connection) if table.is_attached and not table.is_leaving]


def tables(connection: Connection) -> list[DayTable]:
    """All days' tables, in their order."""
    return [
        DayTable(date.fromisoformat(name.removeprefix(_PREFIX)), is_attached, is_leaving)
        for name, is_attached, is_leaving in connection.execute(_TABLES).fetchall()
    ]
