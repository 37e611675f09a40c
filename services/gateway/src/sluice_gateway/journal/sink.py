"""Where a writer's rows become durable."""

from collections.abc import Sequence
from typing import Protocol

from sluice_gateway.journal.chain import Row
from sluice_gateway.journal.checkpoints import Checkpoint


class LaterError(Exception):
    """The rows cannot be written now; whether they have been is not known. The same again is right."""


class Sink(Protocol):
    """Writes one writer's rows. Used by one thread."""

    def insert(self, rows: Sequence[Row], checkpoint: Checkpoint) -> None:
        """Writes all rows or none, durable when this returns. Rows that are there already are not written again.

        Raises:
            LaterError: the database is away or busy.
        """

    def close(self) -> None:
        """Lets go of the database."""
