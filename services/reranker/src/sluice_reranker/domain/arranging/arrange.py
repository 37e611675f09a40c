"""Fusion, boosts, duplicates and diversity, one after the other."""

from collections.abc import Sequence
from dataclasses import replace

from sluice_api.objects.arranging import Arranging, Source
from sluice_reranker.domain.arranging.boosting import boosted
from sluice_reranker.domain.arranging.deduplicating import distinct
from sluice_reranker.domain.arranging.diversifying import diverse
from sluice_reranker.domain.arranging.fusing import fused
from sluice_reranker.domain.arranging.sources import places
from sluice_reranker.domain.model import Candidate, Ranked, Ranking, SourceScore


def arrange(
    how: Arranging, candidates: Sequence[Candidate], ranking: Ranking, top_k: int, now: float
) -> Ranking:
    """The new order of what a ranker has scored.

    Args:
        ranking: Of all candidates. Those that were not scored stay behind the others and are only counted out where
            they are duplicates.
        top_k: How many to return; all when 0.
        now: Unix seconds.
    """
    relevance = {ranked.index: ranked.score for ranked in ranking.best[: ranking.scored]}
    left = [ranked.index for ranked in ranking.best[ranking.scored :]]
    scores = dict(relevance) if how.fusion is None else fused(how.fusion, candidates, relevance)
    scores = boosted(how.boosts, candidates, scores, now)
    order = sorted(scores, key=lambda index: -scores[index])  # equals keep the ranker's order
    kept = distinct(how.duplicates, candidates, [*order, *left])
    most = top_k or len(kept)
    rated = [index for index in kept if index in scores]
    unrated = [index for index in kept if index not in scores]
    places_of = {source: places(candidates, relevance, source) for source in Source}
    best = [
        Ranked(
            index,
            scores.get(index, 0.0),
            tuple(
                SourceScore(str(source), found[index].rank, found[index].score)
                for source, found in places_of.items()
                if index in found
            ),
            kept[index],
        )
        for index in [*diverse(how.diversity, candidates, scores, rated, most), *unrated][:most]
    ]
    return replace(ranking, best=tuple(best))
