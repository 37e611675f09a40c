"""A ranker whose scores are fused, boosted and thinned out before the best candidates leave."""

from collections.abc import Callable, Sequence

from sluice_api.objects.arranging import Arranging
from sluice_reranker.domain.arranging.arrange import arrange
from sluice_reranker.domain.model import Candidate, Question, Ranking
from sluice_reranker.rankers.protocol import Ranker


class ArrangingRanker:
    """A `Ranker` around another.

    Args:
        now: Gives Unix seconds.
    """

    def __init__(self, ranker: Ranker, how: Arranging, now: Callable[[], float]) -> None:
        self._ranker = ranker
        self._how = how
        self._now = now

    @property
    def model(self) -> str:
        """The inner ranker's."""
        return self._ranker.model

    async def rank(
        self, question: Question, candidates: Sequence[Candidate], top_k: int, until: float | None = None
    ) -> Ranking:
        """As a `Ranker` does."""
        ranking = await self._ranker.rank(question, candidates, 0, until)
        return arrange(self._how, candidates, ranking, top_k, self._now())

    async def close(self) -> None:
        """Holds nothing of its own."""
