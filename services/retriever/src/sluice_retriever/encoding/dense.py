"""What a knowledge base's dense model does."""

from collections.abc import Sequence
from typing import Protocol

from sluice_retriever.domain.model import Floats


class DenseModel(Protocol):
    """Texts to dense vectors, L2-normalised."""

    @property
    def identity(self) -> dict[str, object]:
        """All that makes its vectors comparable, as JSON values."""

    @property
    def dimension(self) -> int:
        """Length of its vectors."""

    async def question(self, text: str) -> Floats:
        """A question's vector, shape (dimension,)."""

    async def questions(self, texts: Sequence[str]) -> Floats:
        """Many questions' vectors, shape (texts, dimension), without haste."""

    async def chunks(self, texts: Sequence[str]) -> Floats:
        """Chunks' vectors, shape (texts, dimension)."""

    async def aclose(self) -> None:
        """Lets go of connections and threads."""
