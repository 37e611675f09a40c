"""Connections to PostgreSQL, and which of its errors pass."""

from typing import Any

import psycopg
from sqlalchemy import make_url

from sluice_gateway.storage.database import postgres_url
from sluice_servicekit.errors import FailedPrecondition, Unavailable

Connection = psycopg.Connection[tuple[Any, ...]]

#: Partitions are detached without holding up readers from this version on.
_OLDEST = 140000

#: Errors after which the same may succeed, on another connection: the server is away, going down, a standby, full.
PASSING = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction)


def connect(url: str, *, autocommit: bool = True) -> Connection:
    """A connection.

    Raises:
        psycopg.OperationalError: there is no such server, or it does not let us in.
    """
    return psycopg.connect(
        make_url(postgres_url(url)).set(drivername="postgresql").render_as_string(hide_password=False),
        autocommit=autocommit,
        # A plan for these values leaves out the other days; and poolers between us and the server keep no plans.
        prepare_threshold=None,
        connect_timeout=5,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        application_name="sluice-journal",
    )


def first_connection(url: str) -> Connection:
    """The connection with which a process begins.

    Raises:
        Unavailable: there is no such server.
        FailedPrecondition: its version is too old.
    """
    try:
        connection = connect(url)
    except psycopg.Error as error:
        raise unavailable(error) from error
    if connection.info.server_version < _OLDEST:
        found = connection.info.server_version // 10000
        connection.close()
        raise FailedPrecondition(f"the journal needs PostgreSQL 14 or newer, and this is {found}")
    return connection


def unavailable(error: Exception) -> Unavailable:
    """What a caller is told. The server's own words may name hosts and users: they stay in the log."""
    return Unavailable(
        f"the journal's database cannot be used: {type(error).__name__}",
        reason="JOURNAL_UNAVAILABLE",
        retry_after=1.0,
    )
