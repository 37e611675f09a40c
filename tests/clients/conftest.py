"""One gateway that all clients talk to."""

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
    new = ModelServer()
    for field in fields(ModelServer):
        if field.name != "url":
            setattr(_serving.model_server, field.name, getattr(new, field.name))
    return _serving
