"""What each source says of the candidates."""

from collections.abc import Mapping, Sequence

from sluice_api.objects.arranging import Source
from sluice_reranker.domain.model import Candidate, Placed

#: By candidate, for those that the source has found.
Places = Mapping[int, Placed]


def places(candidates: Sequence[Candidate], relevance: Mapping[int, float], source: Source) -> Places:
    """Where a source places the candidates that the ranker has scored, ranks from 0 and without gaps."""
    if source is Source.RANKER:
        scores = dict(relevance)
    elif source is Source.RETRIEVAL:
        scores = {index: candidates[index].score for index in relevance}
    else:
        legs = {index: candidates[index].legs.get(str(source)) for index in relevance}
        scores = {index: leg.score for index, leg in legs.items() if leg is not None}
    order = sorted(scores, key=lambda index: (-scores[index], index))
    return {index: Placed(rank, scores[index]) for rank, index in enumerate(order)}
