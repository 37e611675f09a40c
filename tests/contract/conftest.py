"""One generation of a knowledge base on every engine in turn."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest

from support.engines import ENGINES, Engine, manifest, opened


@pytest.fixture(params=ENGINES)
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    """A new generation on each engine in turn."""
    async with opened(request.param, tmp_path, manifest()) as engine:
        yield engine


@pytest.fixture
def unit() -> Callable[..., np.ndarray]:
    """Random unit vectors, the same in every run."""
    random = np.random.default_rng(7)

    def rows(*shape: int) -> np.ndarray:
        drawn = random.normal(size=shape)
        return (drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)).astype(np.float32)

    return rows
