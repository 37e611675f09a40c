"""The journal in PostgreSQL: opens this replica's chain, keeps its lease, reads runs back."""

import time
import uuid
from pathlib import Path

from sluice_gateway.domain.run import ChangesOf, Event, RunChange, RunRecord, fold
from sluice_gateway.journal import checkpoints, keys, stubs
from sluice_gateway.journal import retention as days_kept
from sluice_gateway.journal.chain import GENESIS, Head, Keys, sealed
from sluice_gateway.journal.checkpoints import Checkpoint
from sluice_gateway.journal.committing import committed
from sluice_gateway.journal.opening import opening
from sluice_gateway.journal.places import CHECKPOINTS, KEY
from sluice_gateway.journal.postgres import leases, partitions, reading, retention, schema
from sluice_gateway.journal.postgres.connecting import PASSING, Connection, first_connection, unavailable
from sluice_gateway.journal.postgres.keeper import Keeper
from sluice_gateway.journal.postgres.readers import Readers
from sluice_gateway.journal.postgres.retention import PostgresRetention
from sluice_gateway.journal.postgres.sink import PostgresSink
from sluice_gateway.journal.repeating import Repeating
from sluice_gateway.journal.signing import ForgedError
from sluice_gateway.journal.sink import LaterError
from sluice_gateway.journal.writer import Writer


class PostgresJournal:
    """`Journal` in a database that all replicas share, each with a chain of its own.

    Args:
        data_dir: Where checkpoints are exported to, and where the key lies unless `key_file` names it.
        key_file: The secret, the same in every replica.
        retention_days: Whole days that are kept; 0 keeps all.
        lease: Seconds that a replica may be silent before its Express runs are ended by another.
        beat: Seconds between two renewals of a lease.

    Raises:
        Unavailable: there is no such server.
        FailedPrecondition: its journal has another key, or cannot be used.
    """

    def __init__(
        self,
        url: str,
        data_dir: Path,
        instance: str,
        *,
        key_file: Path | None = None,
        capacity: int = 65_536,
        retention_days: int = 0,
        lease: float = leases.LEASE,
        beat: float = leases.BEAT,
    ) -> None:
        folder = data_dir / CHECKPOINTS
        folder.mkdir(parents=True, exist_ok=True)
        secret = keys.load_or_create(key_file or data_dir / KEY)
        name = f"{instance}-{uuid.uuid4().hex[:12]}"
        connection = first_connection(url)
        sink = PostgresSink(url, secret)
        try:
            schema.prepare(connection, secret.name)
            partitions.make_ahead(connection)
            leases.renew(connection, name, lease, beat)
            opened = sealed(secret.rows, name, Head(0, GENESIS), _opening(connection, folder, secret))
            head = Head(opened.seq, opened.hash)
            checkpoint = Checkpoint(name, head, time.time())
            sink.insert([opened], checkpoint)
            checkpoints.write(folder, secret.checkpoints, checkpoint)
        except BaseException as error:
            connection.close()
            sink.close()
            if isinstance(error, (*PASSING, LaterError)):
                raise unavailable(error) from error
            raise
        self._writer = Writer(sink, folder, secret, name, head, capacity)
        self._keeper = Keeper(connection, url, name, self._writer, folder, secret, lease, beat)
        self._readers = Readers(url)
        self._retention = (
            Repeating(
                "journal-retention", days_kept.INTERVAL, PostgresRetention(url, secret, retention_days).cut
            )
            if retention_days
            else None
        )

    def append(self, event: Event) -> None:
        """Queues an event; see `Journal.append`."""
        self._writer.append(event)

    async def commit(self) -> None:
        """Waits until all that was appended is durable; see `Journal.commit`."""
        await committed(self._writer.flush())

    async def run(self, run_id: str) -> RunRecord | None:
        """A run with its steps."""
        found = await self.events(run_id)
        return fold(found) if found else None

    async def runs(self, tenant: str, limit: int, before: str | None) -> list[RunRecord]:
        """A tenant's runs, newest first."""
        return await self._readers.read(reading.runs, tenant, limit, before)

    async def events(self, run_id: str) -> list[Event]:
        """A run's events so far."""
        return await self._readers.read(reading.events, run_id)

    async def position(self) -> int:
        """The position of the newest change."""
        return await self._readers.read(reading.position)

    async def changes(self, which: ChangesOf, after: int) -> tuple[list[RunChange], int]:
        """Changes after a position; see `Journal.changes`."""
        return await self._readers.read(reading.after, which, after)

    async def last_changes(self, which: ChangesOf, count: int) -> tuple[list[RunChange], int]:
        """The newest changes; see `Journal.last_changes`."""
        return await self._readers.read(reading.last, which, count)

    def close(self) -> None:
        """Writes what is queued and lets go of the database."""
        if self._retention is not None:
            self._retention.stop()
        self._writer.close()
        self._keeper.stop()
        self._readers.close()


def _opening(connection: Connection, folder: Path, secret: Keys) -> Event:
    exported, _ = checkpoints.read_all(folder, secret.checkpoints)
    stored: dict[str, Checkpoint] = {}
    for writer, text in connection.execute("SELECT writer, checkpoint FROM journal_checkpoints").fetchall():
        try:
            stored[writer] = checkpoints.decoded(secret.checkpoints, text)
        except ForgedError:
            continue  # an audit tells
    known = checkpoints.furthest(exported, stored)
    cut, _ = stubs.read_all(secret.stubs, retention.texts(connection))
    return opening({writer: checkpoint.head for writer, checkpoint in known.items()}, cut)
