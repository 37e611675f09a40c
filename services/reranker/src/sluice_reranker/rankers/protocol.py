"""What a ranker is, and what a scorer is, which most rankers are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sluice_reranker.domain.model import Candidate, Question, Ranking

DEADLINE = "deadline"
"""The reason where time ran out."""


class Ranker(Protocol):
    """Orders candidates."""

    @property
    def model(self) -> str:
        """What it ranks by; of another name whenever it may score otherwise."""
        ...

    async def rank(
        self, question: Question, candidates: Sequence[Candidate], top_k: int, until: float | None = None
    ) -> Ranking:
        """The candidates, best first; equals keep the order given.

        Args:
            candidates: In the retriever's order.
            top_k: How many to return; all when 0.
            until: When to have returned, by `time.monotonic`. Candidates not scored by then follow the scored ones in
                the order given, with score 0, so that a late ranking is never worse than none.

        Raises:
            ServiceError: none could be scored, for another reason than time.
        """
        ...

    async def close(self) -> None:
        """Lets go of processes, threads and connections."""
        ...


@dataclass(frozen=True, slots=True)
class Scores:
    """What came of scoring."""

    relevance: Sequence[float | None]
    """Of each candidate, 0 to 1; None where it was not scored."""
    partial_reason: str = ""
    """Why some were not; empty where all were."""


class Scorer(Protocol):
    """Says of each candidate how well it answers, by reading it."""

    @property
    def model(self) -> str:
        """What it scores by."""
        ...

    async def score(self, question: Question, candidates: Sequence[Candidate], until: float | None) -> Scores:
        """The candidates' relevance, the first ones' first where time is short.

        Raises:
            ServiceError: none could be scored, for another reason than time.
        """
        ...

    async def close(self) -> None:
        """Lets go of what it holds."""
        ...
