"""For all tests."""

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import settings

from support import postgres
from support.capabilities import CAPABILITIES, VARIABLE, Needs
from support.tables import ReportTable, Tables, add_table

pytest_plugins = ["pytester"]

# How long an example takes says how busy the machine is.
settings.register_profile("sluice", deadline=None)
settings.load_profile("sluice")


class Share:
    """Tells the processes that run tests side by side what this one was told."""

    def __init__(self, required: str) -> None:
        self._required = required

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[VARIABLE] = self._required


def pytest_configure(config: pytest.Config) -> None:
    # It is this run's alone: what the tests start would take it for a setting that nothing reads.
    given = getattr(config, "workerinput", os.environ).pop(VARIABLE, "")
    config.pluginmanager.register(Share(given))
    config.pluginmanager.register(Needs(CAPABILITIES, given))
    config.pluginmanager.register(Tables())


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    """A real PostgreSQL, never to be stopped; a test that uses it says `@pytest.mark.needs("postgres")`."""
    with postgres.server() as running:
        yield running


@pytest.fixture(scope="session")
def _postgres_to_stop() -> Iterator[postgres.PostgresServer]:
    with postgres.server() as running:
        yield running


@pytest.fixture
def stoppable_postgres(_postgres_to_stop: postgres.PostgresServer) -> postgres.PostgresServer:
    """A second one, for tests that stop it: what becomes of it does nothing to the tests after them."""
    if not _postgres_to_stop.is_running():
        _postgres_to_stop.start()
    return _postgres_to_stop


@pytest.fixture
def postgres_url(postgres_server: postgres.PostgresServer) -> str:
    """An empty database on it."""
    return postgres_server.new_database()


@pytest.fixture
def postgres_schema(postgres_server: postgres.PostgresServer) -> str:
    """An empty schema on it, for what asks for tables alone: it is there at once."""
    return postgres_server.new_schema()


@pytest.fixture
def report_table(request: pytest.FixtureRequest) -> ReportTable:
    """Adds a table to the end of the report."""
    return partial(add_table, request.node)
