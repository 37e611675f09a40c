"""`/v1/knowledge/{kb}/documents`: documents in and out."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import Field

from sluice.gateway.v1 import gateway_pb2
from sluice.retriever.v1 import retriever_pb2
from sluice_gateway.domain.model import Principal
from sluice_gateway.gateway import Gateway
from sluice_gateway.http import sse
from sluice_gateway.http.bodies import RequestModel, read, read_bytes
from sluice_gateway.http.described import described, parameter
from sluice_gateway.http.documents import DocumentBody, Ingestion, document_of, listed, outcome, uploaded
from sluice_gateway.http.errors import error_body
from sluice_gateway.http.numbers import whole_number
from sluice_gateway.http.replies.knowledge import DocumentOutcome, DocumentPage, IngestEvent, Totals
from sluice_gateway.http.state import of, principal
from sluice_servicekit.errors import InvalidArgument, NotFound, ServiceError

router = APIRouter()

_DOCUMENTS = "/v1/knowledge/{knowledge_base}/documents"
_DOCUMENT = _DOCUMENTS + "/{document_id:path}"
_MAX_PAGE = 1000

Results = AsyncGenerator[gateway_pb2.IngestResponse, None]


#: A file as a request's body; of any type.
_FILE = described(
    "knowledge",
    DocumentOutcome,
    errors=(404, 409, 413, 429),
    parameters=(
        parameter("title", "Its title.", type="string"),
        parameter("acl", "Who may read it: names parted by commas.", type="string"),
        parameter("expire_time", "When it is removed, in RFC 3339.", type="string"),
        parameter("ttl", "The same from now, such as `30d`.", type="string"),
    ),
)
_FILE["openapi_extra"]["requestBody"] = {
    "required": True,
    "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
}


class Documents(RequestModel):
    """Documents; each is checked on its own, so that a bad one does not fail the rest."""

    documents: Annotated[list[Any], Field(min_length=1, max_length=10_000)]


class DocumentsForm(RequestModel):
    """Documents as they should be; one that is not is named in `failed`, and the rest is stored."""

    documents: Annotated[list[DocumentBody], Field(min_length=1, max_length=10_000)]


@router.post(
    _DOCUMENTS,
    **described(
        "knowledge",
        Totals,
        body=DocumentsForm,
        events=IngestEvent,
        errors=(404, 409, 429),
        example={"documents": [{"id": "notes/1", "title": "Notes", "text": "The vault opens at nine."}]},
    ),
)
async def ingest(request: Request, knowledge_base: str) -> Response:
    """Stores documents; those of an id that is known are replaced. As server-sent events where the caller accepts
    them: one for each document as it is stored, and the totals at the end."""
    state = of(request)
    who = principal(request)
    state.gateway.require_writer(who, knowledge_base)
    body = await read(request, Documents, state.settings.max_ingest_body_bytes)
    now = time.time()
    given = [document_of(entry, now) for entry in body.documents]
    if "text/event-stream" in request.headers.get("accept", ""):
        results = _stored(state.gateway, who, knowledge_base, given, progress=True)
        frames = sse.with_heartbeat(_frames(results), state.settings.heartbeat_seconds)
        return StreamingResponse(frames, media_type="text/event-stream", headers=sse.HEADERS)
    ingestion = Ingestion()
    async for result in _stored(state.gateway, who, knowledge_base, given, progress=False):
        ingestion.note(result)
    return JSONResponse(ingestion.totals())


@router.put(_DOCUMENT, **_FILE)
async def replace(request: Request, knowledge_base: str, document_id: str) -> JSONResponse:
    """Stores the body, a file as it is, under an id; what was there before is replaced."""
    state = of(request)
    who = principal(request)
    state.gateway.require_writer(who, knowledge_base)
    content = await read_bytes(request, state.settings.max_ingest_body_bytes)
    content_type = request.headers.get("content-type", "")
    document = uploaded(document_id, content, content_type, request.query_params, time.time())
    async with aclosing(_stored(state.gateway, who, knowledge_base, [document], progress=False)) as results:
        result = await anext(results)
    if result.result.outcome == retriever_pb2.INGEST_OUTCOME_REFUSED:
        raise InvalidArgument(result.result.reason, reason="DOCUMENT_REFUSED")
    return JSONResponse(outcome(result))


@router.get(
    _DOCUMENTS,
    **described(
        "knowledge",
        DocumentPage,
        errors=(404,),
        parameters=(
            parameter("prefix", "Only ids that start so.", type="string"),
            parameter("after", "Those after this id.", type="string"),
            parameter("limit", "Documents in one page.", type="integer", minimum=1, maximum=_MAX_PAGE),
        ),
    ),
)
async def list_documents(request: Request, knowledge_base: str) -> dict[str, Any]:
    """The tenant's documents by id; `next` is the `after` of the following page."""
    parameters = request.query_params
    found = await of(request).gateway.list_documents(
        principal(request),
        knowledge_base,
        parameters.get("prefix", ""),
        parameters.get("after", ""),
        whole_number(parameters.get("limit", "100"), "limit", 1, _MAX_PAGE),
    )
    return {
        "documents": [listed(each) for each in found.documents],
        "next": found.next_page_token or None,
    }


@router.delete(_DOCUMENT, **described("knowledge", None, status=204, errors=(404, 409, 429)))
async def delete(request: Request, knowledge_base: str, document_id: str) -> Response:
    """Removes a document."""
    if not await of(request).gateway.delete(principal(request), knowledge_base, [document_id]):
        raise NotFound(f"there is no document {document_id!r}", reason="DOCUMENT_NOT_FOUND")
    return Response(status_code=204)


async def _stored(
    gateway: Gateway,
    who: Principal,
    knowledge_base: str,
    given: Sequence[retriever_pb2.Document | retriever_pb2.IngestResponse],
    *,
    progress: bool,
) -> Results:
    """What becomes of documents: first the refusals that need no retriever."""
    for each in given:
        if isinstance(each, retriever_pb2.IngestResponse):
            yield gateway_pb2.IngestResponse(result=each)

    async def documents() -> AsyncIterator[retriever_pb2.Document]:
        for each in given:
            if isinstance(each, retriever_pb2.Document):
                yield each

    async with aclosing(gateway.ingest(who, knowledge_base, documents(), progress=progress)) as results:
        async for result in results:
            yield result


async def _frames(results: Results) -> AsyncGenerator[bytes, None]:
    ingestion = Ingestion()
    try:
        async with aclosing(results):
            async for result in results:
                ingestion.note(result)
                yield sse.frame({"type": "document", **outcome(result)})
    except ServiceError as error:
        # The status has left already; without `done` it does not look whole.
        yield sse.frame(error_body(error))
        return
    yield sse.frame({"type": "done", **ingestion.totals(), "unchanged": ingestion.unchanged})
