"""`/v1/knowledge/{kb}/documents`: documents in and out."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field, ValidationError

from sluice.retriever.v1 import retriever_pb2
from sluice_gateway.http.bodies import RequestModel, read
from sluice_gateway.http.state import of, principal

router = APIRouter()


class Documents(RequestModel):
    """Documents; each is checked on its own, so that a bad one does not fail the rest."""

    documents: Annotated[list[Any], Field(min_length=1, max_length=10_000)]


class DocumentBody(RequestModel):
    """One document."""

    id: Annotated[str, Field(min_length=1)]
    text: str
    title: str = ""
    metadata: dict[str, Any] = Field(default={})
    media_type: str = ""
    acl: list[str] = Field(default=[])


@router.post("/v1/knowledge/{knowledge_base}/documents")
async def ingest(request: Request, knowledge_base: str) -> JSONResponse:
    """Stores documents; those of an id that is known are replaced."""
    state = of(request)
    who = principal(request)
    body = await read(request, Documents, state.settings.max_ingest_body_bytes)
    failed: list[dict[str, str]] = []
    valid: list[retriever_pb2.Document] = []
    for entry in body.documents:
        document = _document(entry)
        if isinstance(document, str):
            failed.append({"id": _id_of(entry), "reason": document})
        else:
            valid.append(document)

    async def documents() -> AsyncIterator[retriever_pb2.Document]:
        for document in valid:
            yield document

    accepted = 0
    async for result in state.gateway.ingest(who, knowledge_base, documents()):
        if result.outcome == retriever_pb2.INGEST_OUTCOME_REFUSED:
            failed.append({"id": result.document_id, "reason": result.reason})
        else:
            accepted += 1
    return JSONResponse({"accepted": accepted, "failed": failed})


@router.delete("/v1/knowledge/{knowledge_base}/documents/{document_id:path}")
async def delete(request: Request, knowledge_base: str, document_id: str) -> Response:
    """Removes a document."""
    await of(request).gateway.delete(principal(request), knowledge_base, document_id)
    return Response(status_code=204)


def _document(entry: object) -> retriever_pb2.Document | str:
    """The document, or why it is none."""
    try:
        body = DocumentBody.model_validate(entry)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in detail["loc"])
        return f"{where}: {detail['msg']}" if where else str(detail["msg"])
    try:
        return retriever_pb2.Document(
            id=body.id,
            text=body.text,
            title=body.title,
            metadata_json=orjson.dumps(body.metadata).decode(),
            media_type=body.media_type,
            acl=body.acl,
        )
    except (ValueError, TypeError) as error:  # a lone surrogate, a whole number beyond 64 bits
        return f"cannot be stored: {error}"


def _id_of(entry: object) -> str:
    found = entry.get("id") if isinstance(entry, dict) else None
    return found if isinstance(found, str) else ""
