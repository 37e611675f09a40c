"""What each stage of retrieval would have answered, from one search's candidates."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from evaluation.asking import Asked
from sluice_api.objects.retrieval import TokenMatch
from sluice_reranker.domain.model import Candidate, Placed, Sentence
from sluice_reranker.domain.ranking import rank
from sluice_retriever.domain.fusion import Ranking, fuse
from sluice_retriever.domain.model import Leg, Passage
from sluice_retriever.domain.parameters import Parameters

#: Passages that the reranker is given, a pipeline's default.
RERANKED = 50

BM25, DENSE, TOKENS = "BM25", "dense", "tokens (of both legs' candidates)"
HYBRID, STAGED, RERANK = "hybrid (dense + BM25)", "staged (with tokens)", "staged, reranked"
LEGS = (BM25, DENSE, HYBRID)


@dataclass(frozen=True)
class Candidates:
    """A question's candidates, without their texts."""

    documents: Mapping[str, str]
    """Each chunk's document."""
    legs: Mapping[Leg, Ranking]

    @classmethod
    def of(cls, asked: Asked) -> "Candidates":
        """Those of a search that returned them all."""
        placed: dict[Leg, list[tuple[int, str, float]]] = {}
        for passage in asked.passages:
            for score in passage.legs:
                placed.setdefault(score.leg, []).append((score.rank, passage.chunk_id, score.score))
        legs = {leg: [(chunk, score) for _, chunk, score in sorted(rows)] for leg, rows in placed.items()}
        return cls({passage.chunk_id: passage.document_id for passage in asked.passages}, legs)

    def ranked(self, parameters: Parameters) -> list[str]:
        """Documents by the staged query with other parameters, of legs no longer than those that were asked for."""
        first = {
            leg: self.legs.get(leg, [])[: parameters.leg_limit]
            for leg in (Leg.DENSE, Leg.SPARSE)
            if parameters.weights[leg] > 0
        }
        union = {chunk for ranking in first.values() for chunk, _ in ranking}
        legs: dict[Leg, Ranking] = dict(first)
        if parameters.token_match is not TokenMatch.OFF:
            legs[Leg.TOKENS] = [row for row in self.legs.get(Leg.TOKENS, []) if row[0] in union]
        return self._documents(
            chunk for chunk, _, _ in fuse(legs, parameters.weights, parameters.k, len(union))
        )

    def by_leg(self, leg: Leg) -> list[str]:
        """Documents by one leg alone."""
        return self._documents(chunk for chunk, _ in self.legs.get(leg, []))

    def _documents(self, chunks: Iterable[str]) -> list[str]:
        """A document stands where its best chunk does."""
        return list(dict.fromkeys(self.documents[chunk] for chunk in chunks))


def rankings(asked: Mapping[str, Asked], parameters: Parameters) -> dict[str, dict[str, list[str]]]:
    """Documents by question, for each stage."""
    hybrid = replace(parameters, token_match=TokenMatch.OFF)
    stages: dict[str, dict[str, list[str]]] = {}
    for query, found in asked.items():
        candidates = Candidates.of(found)
        answers = {
            BM25: candidates.by_leg(Leg.SPARSE),
            DENSE: candidates.by_leg(Leg.DENSE),
            TOKENS: candidates.by_leg(Leg.TOKENS),
            HYBRID: candidates.ranked(hybrid),
            STAGED: list(dict.fromkeys(passage.document_id for passage in found.passages)),
            RERANK: _reranked(found),
        }
        for stage, documents in answers.items():
            stages.setdefault(stage, {})[query] = documents
    return stages


def candidate(passage: Passage) -> Candidate:
    """A passage as the reranker is given it."""
    return Candidate(
        passage.title,
        passage.text,
        passage.score,
        {leg.leg: Placed(leg.rank, leg.score) for leg in passage.legs},
        tuple(Sentence(each.span.start, each.span.end, each.similarity) for each in passage.sentences),
    )


def _reranked(asked: Asked) -> list[str]:
    passages: Sequence[Passage] = asked.passages[:RERANKED]
    best = rank(asked.text, [candidate(passage) for passage in passages], 0, lambda: True).best
    return list(dict.fromkeys(passages[ranked.index].document_id for ranked in best))
