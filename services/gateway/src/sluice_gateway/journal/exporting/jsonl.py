"""Rows as JSON lines: a line a row, its columns by name."""

from pathlib import Path
from typing import BinaryIO

import orjson

from sluice_gateway.journal.chain import Row


class JsonLines:
    """Writes rows to a file."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")

    def write(self, rows: list[Row]) -> None:
        """Adds rows."""
        self._file.writelines(orjson.dumps(row._asdict(), option=orjson.OPT_APPEND_NEWLINE) for row in rows)

    def close(self) -> None:
        """Ends the file."""
        self._file.close()
