"""What the gateway needs of a journal."""

from typing import Protocol

from sluice_gateway.domain.run import ChangesOf, Event, RunChange, RunRecord


class Journal(Protocol):
    """An append-only record of runs."""

    def append(self, event: Event) -> None:
        """Queues an event; never waits.

        Raises:
            ResourceExhausted: the queue is full (`JOURNAL_FULL`).
        """

    async def commit(self) -> None:
        """Returns once everything appended so far is durable.

        Raises:
            Unavailable: the journal cannot be written (`JOURNAL_UNAVAILABLE`).
        """

    async def run(self, run_id: str) -> RunRecord | None:
        """A run with its steps, if there is one of that id."""

    async def runs(self, tenant: str, limit: int, before: str | None) -> list[RunRecord]:
        """A tenant's runs without their steps, newest first, older than `before`."""

    async def events(self, run_id: str) -> list[Event]:
        """A run's events so far, in their order."""

    async def position(self) -> int:
        """The position of the newest change; 0 where there is none."""

    async def changes(self, which: ChangesOf, after: int) -> tuple[list[RunChange], int]:
        """Changes after a position, oldest first, and the position up to which there are no others. Not all at once
        where there are many."""

    async def last_changes(self, which: ChangesOf, count: int) -> tuple[list[RunChange], int]:
        """The newest changes, oldest first, and the position up to which there are no newer ones."""
