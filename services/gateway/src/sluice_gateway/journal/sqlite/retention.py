"""Cuts the days of a SQLite journal that are no longer kept: a signed stub first, then the rows, a few at a time."""

import sqlite3
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from sluice_gateway.journal import stubs
from sluice_gateway.journal.chain import Keys, Row
from sluice_gateway.journal.retention import first_kept, start_of, stub_after
from sluice_gateway.journal.sqlite import schema
from sluice_gateway.journal.stubs import Stub

#: Rows deleted in one transaction: few enough that a writer hardly waits.
_BATCH = 2000

#: Seconds left to writers between two of them.
_PAUSE = 0.02


class SqliteRetention:
    """Keeps so many whole days of a journal."""

    def __init__(self, path: Path, keys: Keys, days: int, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._keys = keys
        self._days = days
        self._now = now

    def cut(self) -> None:
        """Removes what is older."""
        day = first_kept(self._now(), self._days)
        connection = schema.connect_to_write(self._path)
        try:
            for writer in schema.writers(connection):
                self._cut_writer(connection, writer, day)
            _forget_changes(connection, stubs.read_all(self._keys.stubs, schema.stubs(connection))[0])
        finally:
            connection.close()

    def _cut_writer(self, connection: sqlite3.Connection, writer: str, day: date) -> None:
        last = _last_before(connection, writer, start_of(day))
        if last is None:
            return
        stub = stub_after(last, day, self._now(), self._keys)
        with connection:
            connection.execute(
                "INSERT OR REPLACE INTO stubs (writer, stub) VALUES (?, ?)",
                (writer, stubs.encoded(self._keys.stubs, stub)),
            )
        # From the start, so that what is left is a chain at any time.
        delete = (
            "DELETE FROM journal WHERE writer = ? AND seq IN "
            "(SELECT seq FROM journal WHERE writer = ? AND seq <= ? ORDER BY seq LIMIT ?)"
        )
        while connection.execute(delete, (writer, writer, last.seq, _BATCH)).rowcount == _BATCH:
            time.sleep(_PAUSE)


def _last_before(connection: sqlite3.Connection, writer: str, at: float) -> Row | None:
    """The last row before the first one that stays."""
    stays = connection.execute(
        "SELECT seq FROM journal WHERE writer = ? AND at >= ? ORDER BY seq LIMIT 1", (writer, at)
    ).fetchone()
    seq = stays[0] if stays else 2**63 - 1
    return next(
        schema.rows(connection, "writer = ? AND seq < ? ORDER BY seq DESC LIMIT 1", writer, seq), None
    )


def _forget_changes(connection: sqlite3.Connection, cut: dict[str, Stub]) -> None:
    """Removes the changes whose rows are gone, but the newest: positions must never start again."""
    query = (
        "SELECT position, writer, seq FROM changes "
        "WHERE position < (SELECT MAX(position) FROM changes) ORDER BY position LIMIT ?"
    )
    while True:
        gone = [
            (position,)
            for position, writer, seq in connection.execute(query, (_BATCH,)).fetchall()
            if writer in cut and seq <= cut[writer].head.seq
        ]
        if not gone:
            return
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM changes WHERE position = ?", gone)
        time.sleep(_PAUSE)
