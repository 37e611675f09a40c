"""What people ask about everything: a subject is near only where it is nearer than most of that."""

from functools import cache
from importlib.resources import as_file, files

import numpy as np
import numpy.typing as npt

from sluice_minilm.model import Floats, normalised

#: Components of a vector of length 1 are far below 1; bytes hold them well enough.
_SCALE = 400.0


def encoded(vectors: Floats) -> npt.NDArray[np.int8]:
    """Vectors as the file holds them."""
    stored: npt.NDArray[np.int8] = np.clip(np.rint(vectors * _SCALE), -127, 127).astype(np.int8)
    return stored


@cache
def background() -> Floats:
    """Vectors of length 1, shape (prompts, 384); see `assets/NOTICE`."""
    with as_file(files("sluice_guardrail") / "assets" / "topic_background.npy") as path:
        stored: npt.NDArray[np.int8] = np.load(path)
    return normalised(stored.astype(np.float32))
