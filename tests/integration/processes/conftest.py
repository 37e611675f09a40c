"""One `sluice up` that several tests share, with the handbook ingested."""

from collections.abc import Iterator

import pytest

from support import handbook
from support.running import Running, running


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Everything running; tests must leave it as it was."""
    with running(tmp_path_factory.mktemp("up") / "data") as up:
        up.ingest(handbook.documents())
        yield up
