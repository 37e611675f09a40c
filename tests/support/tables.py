"""Tables in the test report: what a suite of many small cases found, where one line each says more than dots."""

from collections.abc import Callable, Sequence

import pytest

#: Takes a title and rows, of which the first is the header.
ReportTable = Callable[[str, Sequence[Sequence[object]]], None]


#: Under this name a table travels with its test's report, also from another process.
_PROPERTY = "table"


def add_table(test: pytest.Item, title: str, rows: Sequence[Sequence[object]]) -> None:
    """Adds a table to the end of the report."""
    test.user_properties.append((_PROPERTY, [title, [[str(cell) for cell in row] for row in rows]]))


class Tables:
    """The plugin; tests use the fixture `report_table`."""

    def __init__(self) -> None:
        self._tables: list[tuple[str, Sequence[Sequence[str]]]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            self._tables += [value for name, value in report.user_properties if name == _PROPERTY]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for title, rows in self._tables:
            terminalreporter.section(title)
            widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
            for row in rows:
                cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
                terminalreporter.line("  ".join(cells).rstrip())
