"""Which write of each document is in force: the commit point of an ingestion, in SQLite."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sluice_retriever.domain.model import DocumentSummary, Epoch
from sluice_retriever.store.messages import Part, Stocked, Stored

_SCHEMA = """
CREATE TABLE IF NOT EXISTS writes (
    write_id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    document_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'stored', 'stale')),
    chunks INTEGER NOT NULL,
    expires REAL
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS in_force ON writes (tenant, document_id) WHERE state = 'stored';
CREATE INDEX IF NOT EXISTS unfinished ON writes (state) WHERE state != 'stored';
CREATE INDEX IF NOT EXISTS expiring ON writes (expires) WHERE expires IS NOT NULL AND state = 'stored';
CREATE INDEX IF NOT EXISTS expiring_of ON writes (tenant, expires) WHERE expires IS NOT NULL AND state = 'stored';
CREATE TABLE IF NOT EXISTS epochs (tenant TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counter (name TEXT NOT NULL);
INSERT INTO counter SELECT lower(hex(randomblob(8))) WHERE NOT EXISTS (SELECT 1 FROM counter);
"""

_RAISE = "INSERT INTO epochs VALUES (?, 1) ON CONFLICT (tenant) DO UPDATE SET number = number + 1"

_RETIRE = "UPDATE writes SET state = 'stale' WHERE tenant = ? AND document_id = ? AND state = 'stored'"


class Register:
    """A write is `pending` while its points arrive, `stored` once they are all there, `stale` once a newer
    one is in force. Points of writes that are not `stored` are never shown and may be deleted.

    What changes a tenant's documents raises its epoch in the same transaction.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)

    def stored(self, tenant: str, document_id: str) -> Stored | None:
        """What is stored of a document, if anything."""
        row = self._db.execute(
            "SELECT digest, chunks, write_id, expires FROM writes"
            " WHERE tenant = ? AND document_id = ? AND state = 'stored'",
            (tenant, document_id),
        ).fetchone()
        return Stored(*row) if row else None

    def begin(self, parts: Iterable[Part]) -> None:
        """Notes that points of these writes are about to arrive."""
        rows = [(part.write_id, part.tenant, part.document_id, part.digest, part.expires) for part in parts]
        if rows:
            with self._transaction():
                self._db.executemany("INSERT INTO writes VALUES (?, ?, ?, ?, 'pending', 0, ?)", rows)

    def is_pending(self, write_id: str) -> bool:
        """True while a write has begun and has not ended."""
        row = self._db.execute("SELECT 1 FROM writes WHERE write_id = ? AND state = 'pending'", (write_id,))
        return row.fetchone() is not None

    def commit(self, parts: Sequence[Part]) -> None:
        """Puts the writes that these parts end in force, and makes those before them stale."""
        with self._transaction():
            for part in parts:
                self._db.execute(_RETIRE, (part.tenant, part.document_id))
                self._db.execute(
                    "UPDATE writes SET state = 'stored', chunks = ? WHERE write_id = ? AND state = 'pending'",
                    (part.total, part.write_id),
                )
            self._raise(part.tenant for part in parts)

    def retire(self, tenant: str, document_ids: Iterable[str]) -> int:
        """Makes what is stored of these documents stale; gives how many there were."""
        with self._transaction():
            retired = sum(
                self._db.execute(_RETIRE, (tenant, document_id)).rowcount for document_id in document_ids
            )
            self._raise([tenant] if retired else [])
        return retired

    def touch(self, tenant: str, expiries: Mapping[str, float | None]) -> None:
        """Sets when stored documents' times are over."""
        with self._transaction():
            self._db.executemany(
                "UPDATE writes SET expires = ? WHERE tenant = ? AND document_id = ? AND state = 'stored'",
                [(expires, tenant, document_id) for document_id, expires in expiries.items()],
            )
            self._raise([tenant])

    def expire(self, now: float) -> int:
        """Makes documents stale whose time is over; gives how many."""
        with self._transaction():
            over = self._db.execute(
                "UPDATE writes SET state = 'stale' WHERE expires <= ? AND state = 'stored' RETURNING tenant",
                (now,),
            ).fetchall()
            self._raise(tenant for (tenant,) in over)
            return len(over)

    def epoch(self, tenant: str, now: float) -> Epoch:
        """Where the tenant's writes stand."""
        row: tuple[str, int, float | None] = self._db.execute(
            "SELECT name, COALESCE((SELECT number FROM epochs WHERE tenant = ?), 0), (SELECT MIN(expires) FROM writes"
            " WHERE tenant = ? AND expires > ? AND state = 'stored') FROM counter",
            (tenant, tenant, now),
        ).fetchone()
        return Epoch(*row)

    def inventory(self, after: tuple[str, str], limit: int) -> list[Stocked]:
        """Stored documents of all tenants after such a pair, by tenant and id."""
        rows = self._db.execute(
            "SELECT tenant, document_id, write_id, digest, chunks, expires FROM writes WHERE state = 'stored'"
            " AND (tenant, document_id) > (?, ?) ORDER BY tenant, document_id LIMIT ?",
            (*after, limit),
        )
        return [Stocked(*row) for row in rows]

    def abandon(self, write_ids: Sequence[str]) -> None:
        """Makes those of these writes that have not ended stale."""
        with self._transaction():
            self._db.executemany(
                "UPDATE writes SET state = 'stale' WHERE write_id = ? AND state = 'pending'",
                [(write_id,) for write_id in write_ids],
            )

    def unfinished(self) -> list[str]:
        """Writes whose points must not be shown."""
        return [row[0] for row in self._db.execute("SELECT write_id FROM writes WHERE state != 'stored'")]

    def stale(self) -> list[str]:
        """Writes whose points are to be deleted."""
        return [row[0] for row in self._db.execute("SELECT write_id FROM writes WHERE state = 'stale'")]

    def forget(self, write_ids: Iterable[str]) -> None:
        """Drops stale writes whose points are gone."""
        with self._transaction():
            self._db.executemany(
                "DELETE FROM writes WHERE write_id = ? AND state = 'stale'", [(name,) for name in write_ids]
            )

    def documents(self, tenant: str, prefix: str, after: str, limit: int) -> list[DocumentSummary]:
        """Ids and chunks of a tenant's stored documents: those whose ids start with `prefix` and come after
        `after`, ascending by code point."""
        # A bound above every id with the prefix; GLOB and LIKE would give some characters a meaning.
        above = f"{prefix}\U0010ffff"
        rows = self._db.execute(
            "SELECT document_id, chunks, expires FROM writes WHERE tenant = ? AND state = 'stored'"
            " AND document_id > ? AND document_id >= ? AND document_id < ? ORDER BY document_id LIMIT ?",
            (tenant, after, prefix, above, limit),
        )
        return [DocumentSummary(*row) for row in rows]

    def usage(self, tenant: str) -> tuple[int, int]:
        """Documents and chunks that a tenant has stored."""
        row: tuple[int, int] = self._db.execute(
            "SELECT COUNT(*), COALESCE(SUM(chunks), 0) FROM writes WHERE tenant = ? AND state = 'stored'",
            (tenant,),
        ).fetchone()
        return row

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def _raise(self, tenants: Iterable[str]) -> None:
        self._db.executemany(_RAISE, [(tenant,) for tenant in set(tenants)])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
