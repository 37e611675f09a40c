"""CSV and its like: each row as a line that names its columns, so that a row alone can answer."""

import csv
import io
from collections.abc import Iterator, Sequence

from sluice_retriever.domain.markdown import Block, Kind
from sluice_retriever.preparing.parsers.parsed import Parsed, Unparsable

#: Characters that the dialect is guessed from.
_SAMPLE = 16 << 10
_DELIMITERS = ",;\t|"
#: Characters of one cell; the module's own limit, at which it gives up.
_MAX_CELL = 1 << 20


def parse(text: str, delimiter: str = "") -> Parsed:
    """One block for each row below the first, which names the columns; a file of one row is that row.

    Raises:
        Unparsable: a quote is never closed, or a cell is larger than 1 MiB.
    """
    csv.field_size_limit(_MAX_CELL)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or _delimiter(text))
    return Parsed("", list(_blocks(rows)))


def _blocks(rows: Iterator[list[str]]) -> Iterator[Block]:
    header: Sequence[str] | None = None
    count = 0
    try:
        for cells in rows:
            cells = [" ".join(cell.split()) for cell in cells]
            if not any(cells):
                continue
            if header is None:
                header = cells
                continue
            count += 1
            yield Block(Kind.TABLE, _line(header, cells), ())
    except csv.Error as error:
        raise Unparsable(f"row {count + 2}: {error}") from error
    if header is not None and not count:
        yield Block(Kind.TABLE, "; ".join(filter(None, header)), ())


def _line(header: Sequence[str], cells: Sequence[str]) -> str:
    named = [
        f"{header[index]}: {cell}" if index < len(header) and header[index] else cell
        for index, cell in enumerate(cells)
        if cell
    ]
    return "; ".join(named) + "."


def _delimiter(text: str) -> str:
    try:
        return csv.Sniffer().sniff(text[:_SAMPLE], _DELIMITERS).delimiter
    except csv.Error:  # one column, or too irregular to tell
        return ","
