"""A ranker that has a scorer read the first candidates."""

from collections.abc import Sequence

from sluice_reranker.domain.model import Candidate, Question, Ranking
from sluice_reranker.domain.settling import settled
from sluice_reranker.rankers.embedded import EmbeddedRanker
from sluice_reranker.rankers.protocol import Scorer


class ReadingRanker:
    """Orders by what a scorer says.

    Args:
        scorer: Reads candidates.
        most: How many it reads; the others follow in the order given.
        embedded: Has a share in each score, where `share` says so.
        share: 0 to 1.
    """

    def __init__(self, scorer: Scorer, most: int, embedded: EmbeddedRanker, share: float = 0.0) -> None:
        self._scorer = scorer
        self._most = most
        self._embedded = embedded
        self._share = share

    @property
    def model(self) -> str:
        """The scorer's."""
        return self._scorer.model

    async def rank(
        self, question: Question, candidates: Sequence[Candidate], top_k: int, until: float | None = None
    ) -> Ranking:
        """The candidates by what the scorer reads in them."""
        read = candidates[: self._most]
        if not read:
            return Ranking((), 0)
        known: list[float] = []
        if self._share:
            known = await self._known(question, read)
        scores = await self._scorer.score(question, read, until)
        order = settled(scores.relevance, len(candidates), known, self._share)
        scored = sum(score is not None for score in scores.relevance)
        return Ranking(order[: top_k or len(order)], scored, scores.partial_reason)

    async def close(self) -> None:
        """Lets go of what the scorer holds."""
        await self._scorer.close()

    async def _known(self, question: Question, candidates: Sequence[Candidate]) -> list[float]:
        ranking = await self._embedded.rank(question, candidates, 0)
        known = [0.0] * len(candidates)
        for ranked in ranking.best:
            known[ranked.index] = ranked.score
        return known
