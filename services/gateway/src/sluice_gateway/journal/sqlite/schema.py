"""The journal's table, and rows to and from it."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from sluice_gateway.journal.chain import GENESIS, Head, Row

COLUMNS = ", ".join(f'"{name}"' for name in Row._fields)
_MARKS = ", ".join("?" for _ in Row._fields)

# Every writer has a chain of its own, so rows have no order over all of them. `changes` gives the starts and ends of
# runs one: writes follow each other, so positions become visible in their order, and a reader that remembers the last
# one misses nothing. It is no part of the chains: whoever edits it hides runs from followers, not from an audit.
_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS journal (
    writer TEXT NOT NULL, seq INTEGER NOT NULL,
    run_id TEXT NOT NULL, tenant TEXT NOT NULL, kind TEXT NOT NULL, at REAL NOT NULL,
    pipeline TEXT NOT NULL, step TEXT NOT NULL, attempt INTEGER NOT NULL, state TEXT NOT NULL,
    decision TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
    input_hash TEXT NOT NULL, output_hash TEXT NOT NULL,
    previous_hash TEXT NOT NULL, hash TEXT NOT NULL,
    PRIMARY KEY (writer, seq)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS of_run ON journal (run_id);
CREATE INDEX IF NOT EXISTS of_tenant ON journal (tenant, run_id) WHERE kind = 'run_started';
CREATE TABLE IF NOT EXISTS changes (
    position INTEGER PRIMARY KEY, tenant TEXT NOT NULL, run_id TEXT NOT NULL, kind TEXT NOT NULL,
    writer TEXT NOT NULL, seq INTEGER NOT NULL, UNIQUE (run_id, kind)
);
CREATE TABLE IF NOT EXISTS stubs (writer TEXT PRIMARY KEY, stub TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS changes_of_tenant ON changes (tenant, position);
CREATE TRIGGER IF NOT EXISTS change AFTER INSERT ON journal WHEN NEW.kind IN ('run_started', 'run_ended') BEGIN
    INSERT OR IGNORE INTO changes (tenant, run_id, kind, writer, seq)
    VALUES (NEW.tenant, NEW.run_id, NEW.kind, NEW.writer, NEW.seq);
END;
INSERT OR IGNORE INTO changes (tenant, run_id, kind, writer, seq)
    SELECT tenant, run_id, kind, writer, seq FROM journal
    WHERE kind IN ('run_started', 'run_ended') AND NOT EXISTS (SELECT 1 FROM changes) ORDER BY at;
COMMIT;
"""


def connect(path: Path, *, synchronous: str = "NORMAL") -> sqlite3.Connection:
    """A connection that may write."""
    connection = connect_to_write(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.executescript(_SCHEMA)
    return connection


def connect_to_write(path: Path) -> sqlite3.Connection:
    """A connection to a journal that is there."""
    return sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that only reads."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30, check_same_thread=False
    )


def insert(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Appends rows in one transaction."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            f"INSERT INTO journal ({COLUMNS}) VALUES ({_MARKS})",  # noqa: S608 - names of our own fields
            rows,
        )


def rows(connection: sqlite3.Connection, where: str, *values: object) -> Iterator[Row]:
    """Rows that meet a condition of our own words."""
    query = f"SELECT {COLUMNS} FROM journal WHERE {where}"  # noqa: S608 - values are bound
    return map(Row._make, connection.execute(query, values))


def writers(connection: sqlite3.Connection) -> list[str]:
    """All writers that have rows, found by leaps: there are few, and many rows of each."""
    found: list[str] = []
    query = "SELECT writer FROM journal WHERE writer > ? ORDER BY writer LIMIT 1"
    while (row := connection.execute(query, (found[-1] if found else "",)).fetchone()) is not None:
        found.append(row[0])
    return found


def head(connection: sqlite3.Connection, writer: str) -> Head:
    """Where a writer's chain stands."""
    query = "SELECT seq, hash FROM journal WHERE writer = ? ORDER BY seq DESC LIMIT 1"
    found = connection.execute(query, (writer,)).fetchone()
    return Head(0, GENESIS) if found is None else Head(*found)


def stubs(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Where chains were cut: writers and signed texts."""
    there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'stubs'").fetchone()
    return [] if there is None else connection.execute("SELECT writer, stub FROM stubs").fetchall()
