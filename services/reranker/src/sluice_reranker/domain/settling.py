"""From scores, of which some may be missing, to the order."""

from collections.abc import Sequence

from sluice_reranker.domain.model import Ranked


def settled(
    relevance: Sequence[float | None],
    total: int,
    known: Sequence[float] = (),
    share: float = 0.0,
) -> tuple[Ranked, ...]:
    """All candidates, best first; equals keep the order given.

    Args:
        relevance: Of the first candidates, 0 to 1; None where one was not scored. Those follow the scored ones in the
            order given, with score 0, as do candidates beyond.
        total: How many candidates there are.
        known: What the embedded ranker gives each of the first candidates, where it has a share in the score.
        share: That share, 0 to 1.
    """
    scored = [
        Ranked(index, _bounded((1.0 - share) * score + (share * known[index] if share else 0.0)))
        for index, score in enumerate(relevance)
        if score is not None
    ]
    found = {ranked.index for ranked in scored}
    left = [Ranked(index, 0.0) for index in range(total) if index not in found]
    return (*sorted(scored, key=lambda ranked: -ranked.score), *left)


def _bounded(score: float) -> float:
    return min(1.0, max(0.0, score))
