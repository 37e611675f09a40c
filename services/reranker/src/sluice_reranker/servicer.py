"""The reranker over gRPC. Converts only."""

import asyncio
from concurrent.futures import Executor
from typing import Any

from prometheus_client import Counter

from sluice.common.v1 import common_pb2
from sluice.reranker.v1 import reranker_pb2, reranker_pb2_grpc
from sluice_reranker.domain.model import Candidate, Placed, Sentence
from sluice_reranker.domain.ranking import MODEL, rank
from sluice_servicekit import deadlines, tracing
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import InvalidArgument

_SCORED = Counter(names.CANDIDATES_SCORED, "Candidates scored, or left because time ran out", ("outcome",))

_MOST_CANDIDATES = 1000
#: Seconds kept back for the way home.
_RESERVE = 0.005


class RerankerServicer(reranker_pb2_grpc.RerankerServiceServicer):
    """`sluice.reranker.v1.RerankerService`."""

    def __init__(self, thread: Executor) -> None:
        """`thread`: a single one, as the words' stemmer needs."""
        self._thread = thread

    async def Rerank(self, request: reranker_pb2.RerankRequest, context: Any) -> reranker_pb2.RerankResponse:
        """Scores candidates and returns the best."""
        if not request.query.strip():
            raise InvalidArgument("the query is empty", field="query")
        if len(request.candidates) > _MOST_CANDIDATES:
            raise InvalidArgument(
                f"there are {len(request.candidates)} candidates; {_MOST_CANDIDATES} at most are ranked",
                field="candidates",
            )
        candidates = [_candidate(message) for message in request.candidates]
        left = deadlines.remaining()
        loop = asyncio.get_running_loop()
        until = None if left is None else loop.time() + left - _RESERVE
        with tracing.span(names.SPAN_RERANK, {names.REQUEST_MODEL: MODEL}):
            ranking = await loop.run_in_executor(
                self._thread,
                rank,
                request.query,
                candidates,
                request.top_k,
                lambda: until is None or loop.time() < until,
            )
        _SCORED.labels("scored").inc(ranking.scored)
        _SCORED.labels("left").inc(len(candidates) - ranking.scored)
        return reranker_pb2.RerankResponse(
            ranked=[reranker_pb2.Ranked(index=entry.index, score=entry.score) for entry in ranking.best],
            scored=ranking.scored,
            model=MODEL,
        )


def _candidate(message: common_pb2.Passage) -> Candidate:
    return Candidate(
        title=message.title,
        text=message.text,
        score=message.score,
        legs={leg.leg: Placed(leg.rank, leg.score) for leg in message.legs},
        sentences=tuple(
            Sentence(sentence.span.start, sentence.span.end, sentence.similarity)
            for sentence in message.sentences
        ),
    )
