"""What a replica does for the journal beside writing: renews its lease, makes days ahead, keeps others' checkpoints
too, ends the runs of writers that have died."""

import contextlib
import logging
import time
from collections.abc import Iterable
from pathlib import Path

import psycopg

from sluice_gateway.journal import checkpoints, interrupted
from sluice_gateway.journal.chain import Keys
from sluice_gateway.journal.postgres import leases, partitions, reading
from sluice_gateway.journal.postgres.connecting import Connection, connect
from sluice_gateway.journal.repeating import Repeating
from sluice_gateway.journal.signing import ForgedError
from sluice_gateway.journal.writer import Durable, Writer
from sluice_servicekit.errors import ServiceError

_LOG = logging.getLogger(__name__)

#: Starts at the end of a dead writer's chain among which its open runs are looked for: rows, as in SQLite.
_LOOK_BACK = 500_000

_LEFT_OPEN = """
SELECT run_id FROM journal_changes AS started
WHERE writer = %(writer)s AND kind = 'run_started'
  AND seq > (SELECT MAX(seq) FROM journal_changes WHERE writer = %(writer)s) - %(look_back)s
  AND NOT EXISTS (
      SELECT 1 FROM journal_changes AS ended WHERE ended.run_id = started.run_id AND ended.kind = 'run_ended')
ORDER BY seq
"""


class Keeper:
    """Beats until it is stopped.

    Args:
        writer: Of this process; it writes the ends of others' runs.
        connection: The first one; another is opened where it is lost.
    """

    def __init__(
        self,
        connection: Connection,
        url: str,
        name: str,
        writer: Writer,
        folder: Path,
        keys: Keys,
        lease: float,
        beat: float,
    ) -> None:
        self._connection: Connection | None = connection
        self._url = url
        self._name = name
        self._writer = writer
        self._folder = folder
        self._keys = keys
        self._lease = lease
        self._beat = beat
        self._since: float | None = None
        self._last = 0.0
        self._made_for = partitions.today()
        self._claimed: dict[str, Durable] = {}
        self._seen: dict[str, str] = {}
        self._beating = Repeating("the journal's keeper", beat, self._tick)

    def stop(self) -> None:
        """Stops, and says that this process's chain is closed. After the writer."""
        self._beating.stop()
        with contextlib.suppress(psycopg.Error):  # then the lease runs out
            connection = self._connected()
            leases.end(connection, self._name)
            connection.close()

    def _tick(self) -> None:
        try:
            connection = self._connected()
            leases.renew(connection, self._name, self._lease, self._beat)
            self._observe()
            if self._made_for != partitions.today():
                partitions.make_ahead(connection)
                self._made_for = partitions.today()
            self._witness(connection)
            self._end_runs_of_the_dead(connection)
        except psycopg.Error:
            self._since = None
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            raise

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = connect(self._url)
        return self._connection

    def _observe(self) -> None:
        """Notes since when beats have come through without a gap, here and at the server."""
        now = time.monotonic()
        if self._since is None or now - self._last > 2 * self._beat:
            self._since = now
        self._last = now

    def _end_runs_of_the_dead(self, connection: Connection) -> None:
        self._settle(connection)
        # Whoever lives has had the time of a whole lease to say so since the server was last seen to be away, or we
        # were.
        watched = self._since is not None and time.monotonic() - self._since >= self._lease
        while writer := leases.claim(connection, self._name, self._lease, expired=watched):
            # Where the queue is full the claim runs out, and somebody tries again.
            with contextlib.suppress(ServiceError):
                left_open = connection.execute(_LEFT_OPEN, {"writer": writer, "look_back": _LOOK_BACK})
                self._end([run_id for (run_id,) in left_open.fetchall()], connection)
                self._claimed[writer] = self._writer.flush()

    def _end(self, run_ids: Iterable[str], connection: Connection) -> None:
        for run_id in run_ids:
            for event in interrupted.ends(reading.events(connection, run_id)):
                self._writer.append(event)

    def _settle(self, connection: Connection) -> None:
        for writer, durable in list(self._claimed.items()):
            if not durable.done():
                leases.keep(connection, self._name, writer, self._lease)
                continue
            if durable.exception() is None:
                leases.settle(connection, self._name, writer)
            del self._claimed[writer]

    def _witness(self, connection: Connection) -> None:
        """Keeps every writer's checkpoint in this replica's folder: one that has died may have taken its own along."""
        for writer, text in connection.execute(
            "SELECT writer, checkpoint FROM journal_checkpoints"
        ).fetchall():
            if writer == self._name or self._seen.get(writer) == text:
                continue  # the writer's own thread exports its own
            try:
                found = checkpoints.decoded(self._keys.checkpoints, text)
            except ForgedError:
                found = None
            if found is None or found.writer != writer:
                _LOG.error("the database holds a forged checkpoint of %s; run: sluice audit verify", writer)
            else:
                known = checkpoints.read(self._folder, self._keys.checkpoints, writer)
                if known is None or known.head.seq < found.head.seq:
                    checkpoints.write(self._folder, self._keys.checkpoints, found)
            self._seen[writer] = text
