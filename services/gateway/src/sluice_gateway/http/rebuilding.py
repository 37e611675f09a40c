"""`POST /v1/knowledge/{kb}/rebuild`: another generation of a knowledge base, as server-sent events."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request

from sluice.retriever.v1 import retriever_pb2
from sluice_gateway.http import sse
from sluice_gateway.http.described import described
from sluice_gateway.http.errors import error_body
from sluice_gateway.http.replies.knowledge import Rebuilding
from sluice_gateway.http.state import of, principal
from sluice_gateway.http.streams import EventStream
from sluice_servicekit.errors import ServiceError

router = APIRouter()

Progress = AsyncGenerator[retriever_pb2.RebuildResponse, None]


@router.post(
    "/v1/knowledge/{knowledge_base}/rebuild",
    response_class=EventStream,
    **described("knowledge", None, events=Rebuilding, errors=(404, 409, 429)),
)
async def rebuild(request: Request, knowledge_base: str) -> EventStream:
    """Builds a knowledge base anew with the settings that its object now has, then swaps. Events tell how far it is;
    the last one, of type `done`, that it is in force. Whoever asks again after a break goes on where it was."""
    state = of(request)
    progress = state.gateway.rebuild(principal(request), knowledge_base)
    # Before the status leaves: who may not do it gets a plain error.
    first = await anext(progress)
    return EventStream(
        sse.with_heartbeat(_frames(first, progress), state.settings.heartbeat_seconds), headers=sse.HEADERS
    )


async def _frames(first: retriever_pb2.RebuildResponse, progress: Progress) -> AsyncGenerator[bytes, None]:
    yield sse.frame(_body(first))
    try:
        async with aclosing(progress):
            async for response in progress:
                yield sse.frame(_body(response))
    except ServiceError as error:
        yield sse.frame(error_body(error))


def _body(response: retriever_pb2.RebuildResponse) -> dict[str, Any]:
    return {
        "type": "done" if response.done else "progress",
        "generation": response.generation,
        "documents": response.documents,
        "total_documents": response.total_documents,
    }
