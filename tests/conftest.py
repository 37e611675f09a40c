"""For all tests."""

import os

import pytest

from support.capabilities import CAPABILITIES, VARIABLE, Needs

pytest_plugins = ["pytester"]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Needs(CAPABILITIES, os.environ.get(VARIABLE, "")))
