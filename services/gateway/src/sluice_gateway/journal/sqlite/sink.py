"""A writer's rows into SQLite."""

import sqlite3
from collections.abc import Sequence

from sluice_gateway.journal.chain import Head, Row
from sluice_gateway.journal.checkpoints import Checkpoint
from sluice_gateway.journal.sink import LaterError
from sluice_gateway.journal.sqlite import schema


class SqliteSink:
    """`Sink` on a connection of its own."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def insert(self, rows: Sequence[Row], checkpoint: Checkpoint) -> None:
        """Writes all rows or none; see `Sink.insert`."""
        try:
            schema.insert(self._connection, rows)
        except sqlite3.OperationalError as error:  # locked, full, or not to be read now
            raise LaterError(str(error)) from error
        except sqlite3.IntegrityError:
            if schema.head(self._connection, checkpoint.writer) != Head(rows[-1].seq, rows[-1].hash):
                raise  # else an attempt that seemed to fail has written them

    def close(self) -> None:
        """Lets go of the file."""
        self._connection.close()
