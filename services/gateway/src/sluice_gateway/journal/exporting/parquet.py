"""Rows as Parquet, by pyarrow, which is not installed unless somebody asks for it."""

from pathlib import Path
from typing import Any

from sluice_gateway.journal.chain import Row
from sluice_servicekit.errors import FailedPrecondition

_TYPES = {"seq": "int64", "attempt": "int64", "at": "float64"}


class Parquet:
    """Writes rows to a file, each call as a row group.

    Raises:
        FailedPrecondition: pyarrow is not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as error:
            raise FailedPrecondition(
                "Parquet needs pyarrow, which is not installed: pip install 'sluice-gateway[parquet]', "
                "or export as jsonl",
                reason="PYARROW_MISSING",
            ) from error
        self._arrow: Any = pyarrow
        self._schema = pyarrow.schema(
            [(name, pyarrow.type_for_alias(_TYPES.get(name, "string"))) for name in Row._fields]
        )
        self._file = parquet.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, rows: list[Row]) -> None:
        """Adds rows."""
        columns = [
            self._arrow.array(column, kind)
            for column, kind in zip(zip(*rows, strict=True), self._schema.types, strict=True)
        ]
        self._file.write_batch(self._arrow.record_batch(columns, schema=self._schema))

    def close(self) -> None:
        """Ends the file."""
        self._file.close()
