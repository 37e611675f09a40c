"""A scorer whose model reads in processes of its own."""

from collections.abc import Sequence

from sluice_reranker.batching.pairs import Pair
from sluice_reranker.batching.pool import Pool
from sluice_reranker.domain.model import Candidate, Question
from sluice_reranker.rankers.protocol import Scores


class PooledScorer:
    """Hands each candidate to the pool of a model."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @property
    def model(self) -> str:
        """The model's name."""
        return self._pool.model

    async def score(self, question: Question, candidates: Sequence[Candidate], until: float | None) -> Scores:
        """The candidates' relevance, as far as that can be told in time."""
        pairs = [Pair(question, read_text(candidate)) for candidate in candidates]
        return await self._pool.read(pairs, until)

    async def close(self) -> None:
        """Ends the processes."""
        await self._pool.close()


def read_text(candidate: Candidate) -> str:
    """What is read of a candidate: its title, where the text does not begin with it, and its text."""
    title, text = candidate.title.strip(), candidate.text
    return text if not title or text.startswith(title) else f"{title}\n{text}"
