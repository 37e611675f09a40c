"""What classifiers said of documents, in SQLite, so that a restart need not have them read again."""

import logging
import sqlite3
import time
from pathlib import Path
from threading import Lock

_LOG = logging.getLogger(__name__)

FILE = "classified.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS classified (
    digest BLOB PRIMARY KEY,
    said BLOB NOT NULL,
    used REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_use ON classified (used);
"""
#: Entries that are put before the oldest are looked for; the file never has more than so many above its bound.
_BETWEEN_SWEEPS = 1_000


class VerdictStore:
    """Digests and detections, never texts. Thread-safe. A store that cannot be used forgets, and says so once.

    Args:
        folder: Where the file lies; what is no database is put aside, since all of it can be found out again.
        entries: How many are kept; those that were not used for longest go first. One takes about 200 bytes.
    """

    def __init__(self, folder: Path, entries: int) -> None:
        self._entries = entries
        self._lock = Lock()
        self._put = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._db: sqlite3.Connection | None = _opened(folder / FILE)
        self._sweep()

    def get(self, key: bytes) -> bytes | None:
        """What was put, if it is still there."""
        rows = self._run("UPDATE classified SET used = ? WHERE digest = ? RETURNING said", time.time(), key)
        return rows[0][0] if rows else None

    def put(self, key: bytes, value: bytes) -> None:
        """Keeps a value."""
        self._run("INSERT OR REPLACE INTO classified VALUES (?, ?, ?)", key, value, time.time())
        self._put += 1
        if self._put % _BETWEEN_SWEEPS == 0:
            self._sweep()

    def close(self) -> None:
        """Lets go of the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
            self._db = None

    def _sweep(self) -> None:
        self._run(
            "DELETE FROM classified WHERE digest IN (SELECT digest FROM classified ORDER BY used LIMIT "
            "max(0, (SELECT count(*) FROM classified) - ?))",
            self._entries,
        )

    def _run(self, statement: str, *values: object) -> list[tuple[bytes]]:
        with self._lock:
            if self._db is None:
                return []
            try:
                return self._db.execute(statement, values).fetchall()
            except sqlite3.Error as error:  # a full disk, a file that was taken away
                _LOG.warning("what classifiers say is no longer kept: %s", error)
                self._db.close()
                self._db = None
                return []


def _opened(path: Path) -> sqlite3.Connection | None:
    try:
        return _connect(path)
    except (
        sqlite3.OperationalError
    ) as error:  # the folder cannot be written to, or another process has the file
        _LOG.warning("what classifiers say is not kept: %s", error)
        return None
    except sqlite3.DatabaseError as error:
        _LOG.warning("%s is begun anew: %s", path, error)
        for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            each.unlink(missing_ok=True)
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")  # the newest may be lost with the power; they are read again
        db.executescript(_SCHEMA)
    except sqlite3.Error:
        db.close()
        raise
    return db
