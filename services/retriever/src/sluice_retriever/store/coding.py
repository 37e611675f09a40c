"""How vectors are coded for storage, and how the engine's scores over codes become cosines again."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from sluice_api.objects.retrieval import TokenMatch
from sluice_retriever.domain.model import ChunkVectors, Floats, QuestionVectors
from sluice_retriever.store import exact_tokens
from sluice_retriever.store.messages import Coded

#: Components of 128-dimensional unit vectors rarely leave ±0.35; what does is clipped.
_RANGE = 0.35
_SCALE = 127.5 / _RANGE


def encode(vectors: ChunkVectors, matches: Iterable[TokenMatch]) -> Coded:
    """A chunk's vectors as they are stored, its tokens for each of the ways to match."""
    tokens = {
        match: exact_tokens.encode_chunk(vectors.token_ids, vectors.tokens)
        if match is TokenMatch.EXACT
        else encode_tokens(vectors.tokens)
        for match in matches
    }
    return Coded(vectors.dense, tokens, encode_sentences(vectors.sentences))


def encode_question(vectors: QuestionVectors, match: TokenMatch) -> npt.NDArray[np.uint8]:
    """A question's tokens as rows to match with those of chunks, one for each token."""
    if match is TokenMatch.EXACT:
        return exact_tokens.encode_question(vectors.token_ids, vectors.tokens)
    return encode_tokens(vectors.tokens)


def token_score(distance: float, question_tokens: int, match: TokenMatch) -> float:
    """The mean over a question's tokens of the best cosine, from the engine's MaxSim over coded vectors."""
    if match is TokenMatch.EXACT:
        return exact_tokens.score(distance, question_tokens)
    return mean_cosine(distance, question_tokens)


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
