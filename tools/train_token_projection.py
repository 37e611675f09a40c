"""Computes the principal axes that cut token vectors from 384 to 128 dimensions.

    python tools/train_token_projection.py corpus.jsonl

Reads the `text` of JSON lines, encodes a fixed sample of them and writes the axes as float16, shape
(384, 128), to the built-in encoder's assets. The mean is not removed: cosine similarity has to survive the
projection.
"""

import json
import random
import sys
from pathlib import Path

import numpy as np

from sluice_retriever.domain.model import TOKEN_DIMENSION
from sluice_retriever.encoding.encoder import Encoder

SAMPLE = 400
TARGET = Path("libs/minilm/src/sluice_minilm/assets/token_projection.npy")


def main() -> None:
    """Trains and writes the projection; prints how much of the variance it keeps."""
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in random.Random(1).sample(lines, min(SAMPLE, len(lines)))]
    if not TARGET.exists():
        np.save(TARGET, np.eye(384, TOKEN_DIMENSION, dtype=np.float16))
    encoder = Encoder(threads=2)
    second_moment = np.zeros((384, 384))
    for start in range(0, len(texts), 16):
        for states in encoder.token_states(texts[start : start + 16]):
            second_moment += states.T.astype(np.float64) @ states
    values, axes = np.linalg.eigh(second_moment)
    np.save(TARGET, axes[:, ::-1][:, :TOKEN_DIMENSION].astype(np.float16))
    print(
        f"{len(texts)} texts; {values[::-1][:TOKEN_DIMENSION].sum() / values.sum():.1%} of the variance kept"
    )


if __name__ == "__main__":
    main()
