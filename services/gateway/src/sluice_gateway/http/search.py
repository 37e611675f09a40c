"""`POST /v1/search`: passages without an answer."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from sluice_gateway.domain import filters
from sluice_gateway.filter_conversion import filter_message
from sluice_gateway.http.bodies import RequestModel, read
from sluice_gateway.http.state import of, principal

router = APIRouter()


class SearchBody(RequestModel):
    """What to look for."""

    knowledge_base: Annotated[str, Field(min_length=1)] = "default"
    query: Annotated[str, Field(min_length=1)]
    top_k: Annotated[int, Field(ge=1, le=1000)] = 10
    filter: dict[str, Any] | None = None
    rerank: bool = False


@router.post("/v1/search")
async def search(request: Request) -> JSONResponse:
    """Passages by score, with the milliseconds of each stage."""
    state = of(request)
    who = principal(request)
    body = await read(request, SearchBody, state.settings.max_body_bytes)
    content = None if body.filter is None else filter_message(filters.read(body.filter))
    found = await state.gateway.search(
        who, body.knowledge_base, body.query, body.top_k, content, rerank=body.rerank
    )
    hits = [
        {
            "document_id": passage.document_id,
            "chunk_id": passage.chunk_id,
            "score": passage.score,
            "title": passage.title,
            "text": passage.text,
            "metadata": json.loads(passage.metadata_json or "{}"),
        }
        for passage in found.passages
    ]
    return JSONResponse({"hits": hits, "timings_ms": found.timings_ms})
