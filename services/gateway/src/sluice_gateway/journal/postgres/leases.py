"""Which writers live: each renews a lease, and all time is the server's. Whose lease has run out has died."""

from sluice_gateway.journal.postgres.connecting import Connection

#: Seconds that a writer may be silent before it counts as dead.
LEASE = 15.0

#: Seconds between two renewals.
BEAT = 3.0

_RENEW = """
INSERT INTO journal_leases (writer, holder, expires)
VALUES (%(writer)s, %(writer)s, clock_timestamp() + %(seconds)s * interval '1 second')
ON CONFLICT (writer) DO UPDATE SET holder = excluded.holder, expires = excluded.expires, closed = false
"""

_CLAIM = """
UPDATE journal_leases
SET holder = %(holder)s, closed = false, expires = clock_timestamp() + %(seconds)s * interval '1 second'
WHERE writer = (
    SELECT writer FROM journal_leases
    WHERE writer <> %(holder)s AND (closed OR (%(expired)s AND expires < clock_timestamp()))
    ORDER BY writer LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING writer
"""


def renew(connection: Connection, writer: str, lease: float, beat: float) -> None:
    """Says that the writer lives: for a lease, and for the time until it says so again."""
    connection.execute(_RENEW, {"writer": writer, "seconds": lease + beat})


def end(connection: Connection, writer: str) -> None:
    """Says that the writer has closed its chain."""
    connection.execute("UPDATE journal_leases SET closed = true WHERE writer = %s", (writer,))


def claim(connection: Connection, holder: str, lease: float, *, expired: bool) -> str | None:
    """A writer that has closed its chain or died, for this holder alone to end the runs of; None where there is
    none. Who dies over it loses it after a lease.

    Args:
        expired: Whether leases that have run out count. After the server was away nobody's lease has been renewed.
    """
    given = {"holder": holder, "seconds": lease, "expired": expired}
    found = connection.execute(_CLAIM, given).fetchone()
    return None if found is None else found[0]


def keep(connection: Connection, holder: str, writer: str, lease: float) -> None:
    """Goes on holding a claim."""
    connection.execute(
        "UPDATE journal_leases SET expires = clock_timestamp() + %s * interval '1 second' "
        "WHERE writer = %s AND holder = %s",
        (lease, writer, holder),
    )


def settle(connection: Connection, holder: str, writer: str) -> None:
    """Forgets a writer whose runs have been ended."""
    connection.execute("DELETE FROM journal_leases WHERE writer = %s AND holder = %s", (writer, holder))
