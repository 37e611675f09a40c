"""`POST /v1/search`: passages without an answer."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from sluice.common.v1 import common_pb2
from sluice.retriever.v1 import retriever_pb2
from sluice_api.objects.retrieval import Retrieval
from sluice_gateway.domain import filters
from sluice_gateway.domain.model import FilterExpression
from sluice_gateway.domain.search import Search
from sluice_gateway.filter_conversion import filter_message
from sluice_gateway.http.bodies import RequestModel, read
from sluice_gateway.http.described import described
from sluice_gateway.http.replies.knowledge import SearchReply
from sluice_gateway.http.state import of, principal

router = APIRouter()

Json = dict[str, Any]
KnowledgeBaseName = Annotated[str, Field(min_length=1)]

_DEFAULT = "default"


class SearchBody(RequestModel):
    """What to look for."""

    knowledge_base: KnowledgeBaseName | None = None
    knowledge_bases: Annotated[list[KnowledgeBaseName], Field(max_length=32)] | None = None
    """After `knowledge_base`, where that is given; the first of all is the one whose model encodes the query."""
    query: Annotated[str, Field(min_length=1)]
    top_k: Annotated[int, Field(ge=1, le=1000)] = 10
    filter: dict[str, Any] | None = None
    retrieval: Retrieval = Retrieval()
    rerank: bool = False
    explain: bool = False

    def search(self) -> Search:
        """What is asked of the knowledge bases.

        Raises:
            InvalidArgument: the filter is wrong.
        """
        content = None if self.filter is None else filter_message(filters.read(self.filter))
        named = [self.knowledge_base] if self.knowledge_base else []
        first, *more = dict.fromkeys([*named, *(self.knowledge_bases or [])] or [_DEFAULT])
        return Search(
            knowledge_base=first,
            more_knowledge_bases=tuple(more),
            query=self.query,
            top_k=self.top_k,
            parameters=self.retrieval,
            filter=None if content is None else FilterExpression(content),
            explain=self.explain,
        )


@router.post(
    "/v1/search",
    **described(
        "search",
        SearchReply,
        body=SearchBody,
        errors=(404, 429, 504),
        example={"query": "How does the journal detect an edited row?", "top_k": 3},
    ),
)
async def search(request: Request) -> JSONResponse:
    """Passages by score, with the milliseconds of each stage, and how they were found where that is asked for."""
    state = of(request)
    who = principal(request)
    body = await read(request, SearchBody, state.settings.max_body_bytes)
    found = await state.gateway.search(who, body.search(), rerank=body.rerank)
    reply: Json = {
        "hits": [_hit(passage, explain=body.explain) for passage in found.passages],
        "timings_ms": found.timings_ms,
    }
    if found.degraded:
        reply["degraded"] = list(found.degraded)
    if body.explain:
        reply["explanations"] = [_explanation(message) for message in found.explanations]
    return JSONResponse(reply)


def _hit(passage: common_pb2.Passage, *, explain: bool) -> Json:
    hit: Json = {
        "document_id": passage.document_id,
        "chunk_id": passage.chunk_id,
        "knowledge_base": passage.knowledge_base,
        "score": passage.score,
        "title": passage.title,
        "text": passage.text,
        "metadata": json.loads(passage.metadata_json or "{}"),
    }
    if explain:
        hit["legs"] = [{"leg": leg.leg, "rank": leg.rank, "score": leg.score} for leg in passage.legs]
    return hit


def _explanation(message: retriever_pb2.Explanation) -> Json:
    """What the retriever says of one knowledge base; what it did not decide is null or empty."""
    return {
        "knowledge_base": message.knowledge_base,
        "acorn": _acorn(message.acorn),
        "acorn_reason": message.acorn_reason,
        "selectivity": message.selectivity if message.HasField("selectivity") else None,
        "self_query": {
            "filter": json.loads(message.self_query_filter_json or "null"),
            "phrases": list(message.self_query_phrases),
        },
        "candidates": dict(message.candidates),
        "parameters": json.loads(message.parameters_json or "{}"),
        "model_digest": message.model_digest,
        "generation": message.generation,
    }


def _acorn(choice: "retriever_pb2.Acorn.ValueType") -> str | None:
    if choice == retriever_pb2.ACORN_UNSPECIFIED:
        return None
    return retriever_pb2.Acorn.Name(choice).removeprefix("ACORN_").lower()
