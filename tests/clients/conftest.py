"""One gateway that all clients talk to."""

import asyncio
from collections.abc import Iterator
from dataclasses import fields

import pytest

from support.model_server import ModelServer
from support.serving import Serving, served


@pytest.fixture(scope="session")
def _serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with served(tmp_path_factory.mktemp("clients")) as serving:
        yield serving


@pytest.fixture
def gateway(_serving: Serving) -> Serving:
    """What clients talk to, with the model server as new."""
    new, server = ModelServer(), _serving.model_server
    for field in fields(ModelServer):
        value = getattr(new, field.name)
        if isinstance(value, asyncio.Event):
            getattr(server, field.name).clear()  # what serves holds on to it
        elif field.name != "url":
            setattr(server, field.name, value)
    return _serving
