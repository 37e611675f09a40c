"""What the gateway needs of a journal."""

from typing import Protocol

from sluice_gateway.domain.run import Event, RunRecord


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
