"""What tests of the guardrail share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.wasm import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Where modules are run."""
    bench = Bench(tmp_path)
    yield bench
    bench.runtime.close()
