"""`POST /v1/chat/completions`, whole and streamed."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from sluice_gateway.domain.caching.answering import CacheControl
from sluice_gateway.domain.coalescing import Running
from sluice_gateway.domain.outcome import RunFailedError, RunResult
from sluice_gateway.domain.pieces import Delta
from sluice_gateway.http import run_control, sse
from sluice_gateway.http.bodies import parse, read_json
from sluice_gateway.http.chat_schema import ChatRequest
from sluice_gateway.http.chunks import Chunks
from sluice_gateway.http.completions import Shape, completion
from sluice_gateway.http.described import described
from sluice_gateway.http.errors import error_body
from sluice_gateway.http.idempotent import idempotent
from sluice_gateway.http.leaving import unless_gone
from sluice_gateway.http.parameters import ADDRESSED, IDEMPOTENT, PREFER
from sluice_gateway.http.replies.openai import ChatCompletion, ChatCompletionChunk
from sluice_gateway.http.state import addressed, of, principal, run_headers
from sluice_servicekit.errors import Cancelled, ServiceError

router = APIRouter()


@router.post(
    "/v1/chat/completions",
    **described(
        "completions",
        ChatCompletion,
        body=ChatRequest,
        events=ChatCompletionChunk,
        done=True,
        runs=True,
        accepts=True,
        errors=(404, 409, 429, 504),
        parameters=(*ADDRESSED, PREFER, IDEMPOTENT),
        example={"model": "default", "messages": [{"role": "user", "content": "What is a gate?"}]},
    ),
)
async def chat_completions(request: Request) -> Response:
    """Answers a question through a pipeline; OpenAI's chat completion."""
    state = of(request)
    who = principal(request)
    try:
        content = await read_json(request, state.settings.max_body_bytes)
        body = parse(content, ChatRequest)
    except Cancelled:
        raise
    except ServiceError as error:
        raise await state.gateway.refuse(who, "", error) from error
    control = CacheControl.read(request.headers.get("cache-control"))

    async def respond() -> Response:
        if run_control.in_background(request, body):
            return await run_control.completed_later(request, who, body)
        run = await state.gateway.admit(
            who, body.model, lambda: addressed(request, body.run_request(who)), control
        )
        shape = Shape(body.model, int(time.time()), body.n or 1, bool(body.logprobs), bool(body.functions))
        if body.stream:
            chunks = Chunks(run.run_id, shape, include_usage=body.include_usage)
            return await _streamed(request, run, chunks, state.settings.heartbeat_seconds)
        return await _whole(request, run, shape)

    return await idempotent(
        request,
        who,
        content,
        state.gateway.payloads(body.model),
        respond,
        state.gateway.payload_retention(body.model),
    )


async def _whole(request: Request, run: Running, shape: Shape) -> Response:
    started = time.perf_counter()
    result = await unless_gone(request, run.result())
    response = JSONResponse(completion(result, shape))
    response.headers.update(run_headers(run))
    response.headers["server-timing"] = f"run;dur={(time.perf_counter() - started) * 1000:.1f}"
    return response


async def _streamed(request: Request, run: Running, chunks: Chunks, heartbeat: float) -> Response:
    """Holds the status until there is something to send: a failure before that is a plain error."""
    events = run.events()
    first = await unless_gone(request, anext(events))
    return StreamingResponse(
        sse.with_heartbeat(_frames(first, events, chunks), heartbeat),
        media_type="text/event-stream",
        headers={**sse.HEADERS, **run_headers(run)},
    )


async def _frames(
    first: str | Delta | RunResult, events: AsyncGenerator[str | Delta | RunResult, None], chunks: Chunks
) -> AsyncGenerator[bytes, None]:
    for frame in chunks.opening():
        yield frame
    try:
        async with aclosing(events):
            event: str | Delta | RunResult | None = first
            while event is not None:
                frames = chunks.ending(event) if isinstance(event, RunResult) else chunks.piece(event)
                for frame in frames:
                    yield frame
                event = await anext(events, None)
    except RunFailedError as failed:
        # The status has left already: an error frame, and no [DONE] that would make it look whole.
        yield sse.frame(error_body(failed.error, step=failed.step))
        return
    yield sse.DONE
