"""For all tests."""

import os

import pytest

from support.capabilities import CAPABILITIES, VARIABLE, Needs
from support.tables import ReportTable, Tables

pytest_plugins = ["pytester"]


def pytest_configure(config: pytest.Config) -> None:
    # It is this run's alone: what the tests start would take it for a setting that nothing reads.
    config.pluginmanager.register(Needs(CAPABILITIES, os.environ.pop(VARIABLE, "")))
    config.pluginmanager.register(Tables(), "tables")


@pytest.fixture(scope="session")
def report_table(request: pytest.FixtureRequest) -> ReportTable:
    """Adds a table to the end of the report."""
    tables = request.config.pluginmanager.get_plugin("tables")
    assert isinstance(tables, Tables)
    return tables.add
