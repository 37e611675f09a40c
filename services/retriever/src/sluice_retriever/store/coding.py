"""How vectors are coded for storage, and how the engine's scores over codes become cosines again."""

import numpy as np
import numpy.typing as npt

from sluice_retriever.domain.model import ChunkVectors, Floats
from sluice_retriever.store.messages import Coded

#: Components of 128-dimensional unit vectors rarely leave ±0.35; what does is clipped.
_RANGE = 0.35
_SCALE = 127.5 / _RANGE


def encode(vectors: ChunkVectors) -> Coded:
    """A chunk's vectors as they are stored."""
    return Coded(vectors.dense, encode_tokens(vectors.tokens), encode_sentences(vectors.sentences))


def encode_tokens(tokens: Floats) -> npt.NDArray[np.uint8]:
    """Unit vectors as bytes, affine: the engine casts to uint8 by cutting; plain floats would become 0."""
    coded: npt.NDArray[np.uint8] = np.clip(np.rint(127.5 + tokens * _SCALE), 0, 255).astype(np.uint8)
    return coded


def mean_cosine(distance: float, question_tokens: int) -> float:
    """The mean over a question's tokens of the best cosine, from the engine's MaxSim over coded vectors.

    For unit vectors ‖q−d‖² = 2−2cos, and the engine gives the root of the sum over the question's tokens.
    """
    return 1.0 - distance**2 / (2.0 * question_tokens * _SCALE**2)


def encode_sentences(sentences: Floats) -> npt.NDArray[np.int8]:
    """Unit vectors as signed bytes."""
    coded: npt.NDArray[np.int8] = np.rint(sentences * 127.0).astype(np.int8)
    return coded


def sentence_similarities(coded: bytes, question: Floats) -> list[float]:
    """Cosine of each stored sentence (row-major signed bytes) with the question."""
    rows = np.frombuffer(coded, np.int8).reshape(-1, question.shape[0]).astype(np.float32)
    norms = np.maximum(np.linalg.norm(rows, axis=1), 1e-6)
    similarities: list[float] = np.clip((rows @ question) / norms, -1.0, 1.0).tolist()
    return similarities
