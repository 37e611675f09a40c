"""What endpoints that encode are asked, and what they answer. Decides nothing, connects to nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sluice_servicekit.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    ServiceError,
    Unavailable,
)


class Wire(Protocol):
    """One kind of endpoint."""

    @property
    def path(self) -> str:
        """What follows the endpoint's URL."""

    @property
    def model(self) -> str:
        """The model that is asked for; empty where the endpoint has one only."""

    def body(self, texts: Sequence[str]) -> dict[str, Any]:
        """The request."""

    def rows(self, answer: Any) -> list[Any]:
        """The answer's vectors, in the order of the texts.

        Raises:
            KeyError, TypeError: it is no such answer.
        """


@dataclass(frozen=True, slots=True)
class OpenAIWire:
    """OpenAI's `/embeddings`."""

    model: str
    path: str = "/embeddings"

    def body(self, texts: Sequence[str]) -> dict[str, Any]:
        """The request."""
        return {"model": self.model, "input": list(texts), "encoding_format": "float"}

    def rows(self, answer: Any) -> list[Any]:
        """The vectors, by their `index`."""
        return [item["embedding"] for item in sorted(answer["data"], key=lambda item: item["index"])]


@dataclass(frozen=True, slots=True)
class TeiWire:
    """Text Embeddings Inference's `/embed`."""

    model: str = ""
    path: str = "/embed"

    def body(self, texts: Sequence[str]) -> dict[str, Any]:
        """The request."""
        return {"inputs": list(texts), "normalize": True, "truncate": True}

    def rows(self, answer: Any) -> list[Any]:
        """The vectors."""
        return list(answer)


#: Reason of a batch that is too large, or holds a text that cannot be read: which one, smaller batches tell.
TOO_LARGE = "EMBEDDING_TOO_LARGE"


def error(status: int, message: str, retry_after: float | None) -> ServiceError:
    """The error for a status other than 200."""
    said = f"the embedding endpoint says ({status}): {message}"
    if status in (401, 403):
        return FailedPrecondition(f"{said}; check its API key", reason="EMBEDDING_AUTH")
    if status == 404:
        return NotFound(f"{said}; check its URL and model", reason="EMBEDDING_MODEL_NOT_FOUND")
    if status == 429:
        return ResourceExhausted(said, reason="EMBEDDING_BUSY", retry_after=retry_after)
    if status in (413, 422):
        return InvalidArgument(said, reason=TOO_LARGE)
    if status == 400:
        return InvalidArgument(said, reason="EMBEDDING_REFUSED")
    if status < 500 and status != 424:  # TEI's own backend has failed
        return FailedPrecondition(said, reason="EMBEDDING_REFUSED")
    return Unavailable(said, reason="EMBEDDING_FAILED", retry_after=retry_after)
