"""The reranker over gRPC. Converts only."""

import time
from typing import Any

import numpy as np
from prometheus_client import Counter

from sluice.common.v1 import common_pb2
from sluice.reranker.v1 import reranker_pb2, reranker_pb2_grpc
from sluice_reranker.domain.model import Candidate, Placed, Question, Ranked, Sentence
from sluice_reranker.rankers.registry import Rankers
from sluice_servicekit import deadlines, tracing
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import InvalidArgument

_SCORED = Counter(names.CANDIDATES_SCORED, "Candidates scored, or left unscored", ("outcome",))
_TRUNCATED = Counter(
    names.RERANK_TRUNCATED, "Rankings in which not all were scored that should have been", ("model", "reason")
)

_MOST_CANDIDATES = 1000
#: What is kept back for the way home: seconds, and a share of the time there is.
_RESERVE, _RESERVED = 0.005, 0.02


class RerankerServicer(reranker_pb2_grpc.RerankerServiceServicer):
    """`sluice.reranker.v1.RerankerService`."""

    def __init__(self, rankers: Rankers) -> None:
        self._rankers = rankers

    async def Rerank(self, request: reranker_pb2.RerankRequest, context: Any) -> reranker_pb2.RerankResponse:
        """Scores candidates and returns the best."""
        if not request.query.strip():
            raise InvalidArgument("the query is empty", field="query")
        if len(request.candidates) > _MOST_CANDIDATES:
            raise InvalidArgument(
                f"there are {len(request.candidates)} candidates; {_MOST_CANDIDATES} at most are ranked",
                field="candidates",
            )
        ranker = self._rankers.get(request.pipeline)
        candidates = [_candidate(message) for message in request.candidates]
        left = deadlines.remaining()
        until = None if left is None else time.monotonic() + left * (1 - _RESERVED) - _RESERVE
        with tracing.span(names.SPAN_RERANK, {names.REQUEST_MODEL: ranker.model}):
            ranking = await ranker.rank(_question(request), candidates, request.top_k, until)
        _SCORED.labels("scored").inc(ranking.scored)
        _SCORED.labels("left").inc(len(candidates) - ranking.scored)
        if ranking.partial_reason:
            _TRUNCATED.labels(ranker.model, ranking.partial_reason).inc()
        return reranker_pb2.RerankResponse(
            ranked=[_ranked(entry) for entry in ranking.best],
            scored=ranking.scored,
            model=ranker.model,
            partial_reason=ranking.partial_reason,
        )


def _ranked(entry: Ranked) -> reranker_pb2.Ranked:
    sources = [
        reranker_pb2.SourceScore(source=of.source, rank=of.rank, score=of.score) for of in entry.sources
    ]
    return reranker_pb2.Ranked(
        index=entry.index, score=entry.score, sources=sources, duplicates=entry.duplicates
    )


def _question(request: reranker_pb2.RerankRequest) -> Question:
    vectors = request.question_vectors
    tokens = np.array(vectors.tokens, np.float32)
    if not vectors.token_count or tokens.size != vectors.token_count * vectors.token_dimension:
        return Question(request.query)
    return Question(
        request.query, tokens.reshape(vectors.token_count, vectors.token_dimension), vectors.model_digest
    )


def _candidate(message: common_pb2.Passage) -> Candidate:
    return Candidate(
        title=message.title,
        text=message.text,
        score=message.score,
        knowledge_base=message.knowledge_base,
        metadata_json=message.metadata_json,
        legs={leg.leg: Placed(leg.rank, leg.score) for leg in message.legs},
        sentences=tuple(
            Sentence(sentence.span.start, sentence.span.end, sentence.similarity)
            for sentence in message.sentences
        ),
    )
