"""Which rows of a journal are asked for, and where they are read from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from sluice_gateway.journal.chain import Row


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows; all of them by default."""

    since: float | None = None
    """Unix seconds; rows from then on."""
    until: float | None = None
    """Rows before then."""
    tenant: str = ""
    run_id: str = ""

    def conditions(self, mark: str) -> tuple[str, list[str | float]]:
        """The words of a WHERE clause and its values; `mark` stands for a value."""
        given = {
            f"at >= {mark}": self.since,
            f"at < {mark}": self.until,
            f"tenant = {mark}": self.tenant or None,
            f"run_id = {mark}": self.run_id or None,
        }
        named = {words: value for words, value in given.items() if value is not None}
        return " AND ".join(named) or "true", list(named.values())


class Source(Protocol):
    """A journal's rows as they are stored, for audits and exports. May be in use meanwhile."""

    def stubs(self) -> list[tuple[str, str]]:
        """Writers, and the stubs that are stored for them, as signed texts."""

    def checkpoints(self) -> list[tuple[str, str]]:
        """Writers, and their checkpoints as far as the database holds some, as signed texts."""

    def count(self, selection: Selection) -> int:
        """How many rows there are, roughly."""

    def rows(self, selection: Selection) -> Iterator[Row]:
        """The rows; those of a writer in their order."""

    def close(self) -> None:
        """Lets go of the database."""
