"""Exports rows into a file, a few at a time, and the file whole or not at all."""

from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Protocol

from sluice_gateway.journal.chain import Row
from sluice_gateway.journal.exporting.jsonl import JsonLines
from sluice_gateway.journal.exporting.parquet import Parquet
from sluice_gateway.journal.selection import Selection, Source
from sluice_servicekit.errors import FailedPrecondition

#: Rows in memory at a time.
_BATCH = 10_000


class Format(StrEnum):
    """What kind of file."""

    JSONL = "jsonl"
    PARQUET = "parquet"


class _Writer(Protocol):
    def write(self, rows: list[Row]) -> None: ...
    def close(self) -> None: ...


_WRITERS: dict[Format, Callable[[Path], _Writer]] = {Format.JSONL: JsonLines, Format.PARQUET: Parquet}


def export(
    source: Source,
    selection: Selection,
    target: Path,
    kind: Format,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """How many rows were written to the file, which is there once it is complete.

    Args:
        progress: Is told how many have been written so far.

    Raises:
        FailedPrecondition: the file cannot be written, or pyarrow is missing.
    """
    partial = target.with_name(f".{target.name}.partial")
    written = 0
    try:
        writer = _WRITERS[kind](partial)
        try:
            for rows in _batches(source, selection):
                writer.write(rows)
                written += len(rows)
                progress(written)
        finally:
            writer.close()
        partial.replace(target)
    except OSError as error:
        raise FailedPrecondition(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return written


def _batches(source: Source, selection: Selection) -> Iterator[list[Row]]:
    rows = source.rows(selection)
    while batch := list(islice(rows, _BATCH)):
        yield batch
