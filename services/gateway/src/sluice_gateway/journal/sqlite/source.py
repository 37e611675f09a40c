"""A SQLite journal's rows, for audits and exports."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sluice_gateway.journal.chain import Row
from sluice_gateway.journal.selection import Selection
from sluice_gateway.journal.sqlite import schema
from sluice_servicekit.errors import FailedPrecondition


class SqliteSource:
    """`Source` on a file, read in one view of it.

    Raises:
        FailedPrecondition: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = schema.connect_to_read(path)
        self._connection.isolation_level = None
        self._connection.execute("BEGIN")

    def stubs(self) -> list[tuple[str, str]]:
        """Where chains were cut."""
        try:
            return schema.stubs(self._connection)
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def checkpoints(self) -> list[tuple[str, str]]:
        """None: they lie in files."""
        return []

    def count(self, selection: Selection) -> int:
        """How many rows there are."""
        where, values = selection.conditions("?")
        return int(next(self._rows(f"SELECT COUNT(*) FROM journal WHERE {where}", *values))[0])  # noqa: S608

    def rows(self, selection: Selection) -> Iterator[Row]:
        """The rows, by writer and sequence."""
        where, values = selection.conditions("?")
        query = f"SELECT {schema.COLUMNS} FROM journal WHERE {where} ORDER BY writer, seq"  # noqa: S608 - bound
        return map(Row._make, self._rows(query, *values))

    def close(self) -> None:
        """Lets go of the file."""
        self._connection.close()

    def _rows(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._connection.execute(query, values)
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: sqlite3.Error) -> FailedPrecondition:
        return FailedPrecondition(f"the journal {self._path} cannot be read: {error}")
