"""The embedded ranker, which reads nothing."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from sluice_reranker.domain.model import Candidate, Question, Ranking
from sluice_reranker.domain.ranking import MODEL, rank
from sluice_reranker.rankers.protocol import DEADLINE


class EmbeddedRanker:
    """Ranks on a thread of its own: a single one, as the words' stemmer needs."""

    model = MODEL

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "ranking")

    async def rank(
        self, question: Question, candidates: Sequence[Candidate], top_k: int, until: float | None = None
    ) -> Ranking:
        """The candidates by what is known of them."""
        ranking = await asyncio.get_running_loop().run_in_executor(
            self._thread,
            rank,
            question.text,
            candidates,
            top_k,
            lambda: until is None or time.monotonic() < until,
        )
        if ranking.scored < len(candidates):
            return Ranking(ranking.best, ranking.scored, DEADLINE)
        return ranking

    async def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)
