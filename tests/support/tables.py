"""Tables in the test report: what a suite of many small cases found, where one line each says more than dots."""

from collections.abc import Callable, Sequence

import pytest

#: Takes a title and rows, of which the first is the header.
ReportTable = Callable[[str, Sequence[Sequence[object]]], None]


class Tables:
    """The plugin; tests use the fixture `report_table`."""

    def __init__(self) -> None:
        self._tables: list[tuple[str, Sequence[Sequence[object]]]] = []

    def add(self, title: str, rows: Sequence[Sequence[object]]) -> None:
        """Adds a table to the end of the report."""
        self._tables.append((title, rows))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for title, rows in self._tables:
            terminalreporter.section(title)
            widths = [max(len(str(cell)) for cell in column) for column in zip(*rows, strict=True)]
            for row in rows:
                cells = [str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)]
                terminalreporter.line("  ".join(cells).rstrip())
