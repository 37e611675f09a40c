"""What servers that rank are asked, and what they answer. Decides nothing, connects to nothing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sluice_reranker.models.folder import sigmoid
from sluice_servicekit.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    ServiceError,
    Unavailable,
)

#: Reason of a batch that is too large, or holds a text that cannot be read: which one, smaller batches tell.
TOO_LARGE = "RANKER_TOO_LARGE"


class Wire(Protocol):
    """One kind of server."""

    @property
    def path(self) -> str:
        """What follows the server's URL."""

    def body(self, question: str, texts: Sequence[str]) -> dict[str, Any]:
        """The request."""

    def relevance(self, answer: Any, count: int) -> list[float]:
        """Of each text, 0 to 1, in the order they were sent.

        Raises:
            KeyError, TypeError, ValueError, IndexError: it is no such answer.
        """


@dataclass(frozen=True, slots=True)
class TeiWire:
    """Text Embeddings Inference's `/rerank`."""

    path: str = "/rerank"

    def body(self, question: str, texts: Sequence[str]) -> dict[str, Any]:
        """The request. Its own sigmoid works in 32 bits, where all that is good is 1."""
        return {"query": question, "texts": list(texts), "raw_scores": True, "truncate": True}

    def relevance(self, answer: Any, count: int) -> list[float]:
        """By the logits, which come best first."""
        return [sigmoid(logit) for logit in _by_index(answer, "score", count)]


@dataclass(frozen=True, slots=True)
class CohereWire:
    """`/rerank` as Cohere, Jina and vLLM have it."""

    model: str
    path: str = "/rerank"

    def body(self, question: str, texts: Sequence[str]) -> dict[str, Any]:
        """The request."""
        return {"model": self.model, "query": question, "documents": list(texts), "top_n": len(texts)}

    def relevance(self, answer: Any, count: int) -> list[float]:
        """By `relevance_score`, which is 0 to 1."""
        scores = _by_index(answer["results"], "relevance_score", count)
        return [min(1.0, max(0.0, score)) for score in scores]


def _by_index(entries: Any, name: str, count: int) -> list[float]:
    found: dict[int, float] = {int(entry["index"]): float(entry[name]) for entry in entries}
    if sorted(found) != list(range(count)) or not all(math.isfinite(score) for score in found.values()):
        raise ValueError("not a number for each text")
    return [found[index] for index in range(count)]


def error(status: int, message: str, retry_after: float | None) -> ServiceError:
    """The error for a status other than 200."""
    said = f"the ranking server says ({status}): {message}"
    if status in (401, 403):
        return FailedPrecondition(f"{said}; check its API key", reason="RANKER_AUTH")
    if status == 404:
        return NotFound(f"{said}; check its URL and model", reason="RANKER_NOT_FOUND")
    if status == 429:
        return ResourceExhausted(said, reason="RANKER_BUSY", retry_after=retry_after)
    if status in (413, 422):
        return InvalidArgument(said, reason=TOO_LARGE)
    if status == 424:  # TEI's own backend has failed, as one that does not rank always does
        return FailedPrecondition(f"{said}; check that its model ranks", reason="RANKER_FAILED")
    if status < 500:
        return FailedPrecondition(said, reason="RANKER_REFUSED")
    return Unavailable(said, reason="RANKER_FAILED", retry_after=retry_after)
