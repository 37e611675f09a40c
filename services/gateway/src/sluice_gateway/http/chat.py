"""`POST /v1/chat/completions`, whole and streamed."""

import re
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from sluice_gateway.domain.caching.answering import CacheControl
from sluice_gateway.domain.coalescing import Running
from sluice_gateway.domain.outcome import RunFailedError, RunResult
from sluice_gateway.http import completions, sse
from sluice_gateway.http.bodies import parse, read_bytes
from sluice_gateway.http.chat_schema import ChatRequest
from sluice_gateway.http.errors import error_body
from sluice_gateway.http.idempotent import idempotent
from sluice_gateway.http.leaving import unless_gone
from sluice_gateway.http.state import CACHE_HEADER, RUN_HEADER, of, principal
from sluice_servicekit.errors import Cancelled, ServiceError

router = APIRouter()

#: Words in one chunk of text that was withheld until now.
_PIECES = re.compile(r"\s*\S+(?:\s+\S+){0,3}|\s+")


_BODY = {
    "requestBody": {
        "content": {"application/json": {"schema": ChatRequest.model_json_schema(by_alias=False)}}
    }
}


class ChunkOf(Protocol):
    """Makes one chunk's frame."""

    def __call__(
        self, delta: completions.Json, finish_reason: str | None = None, **extra: object
    ) -> bytes: ...


@router.post("/v1/chat/completions", openapi_extra=_BODY)
async def chat_completions(request: Request) -> Response:
    """Answers a question through a pipeline; OpenAI's chat completion."""
    state = of(request)
    who = principal(request)
    try:
        content = await read_bytes(request, state.settings.max_body_bytes)
        body = parse(content, ChatRequest)
    except Cancelled:
        raise
    except ServiceError as error:
        raise await state.gateway.refuse(who, "", error) from error
    control = CacheControl.read(request.headers.get("cache-control"))

    async def respond() -> Response:
        run = await state.gateway.admit(who, body.model, lambda: body.run_request(who), control)
        if body.stream:
            include_usage = body.stream_options is not None and body.stream_options.include_usage
            heartbeat = state.settings.heartbeat_seconds
            return await _streamed(request, run, body.model, heartbeat, include_usage=include_usage)
        return await _whole(request, run, body.model)

    return await idempotent(request, who, content, state.gateway.payloads(body.model), respond)


async def _whole(request: Request, run: Running, model: str) -> Response:
    started = time.perf_counter()
    result = await unless_gone(request, run.result())
    response = JSONResponse(completions.completion(result, model, int(time.time())))
    response.headers.update(_headers(run))
    response.headers["server-timing"] = f"run;dur={(time.perf_counter() - started) * 1000:.1f}"
    return response


async def _streamed(
    request: Request, run: Running, model: str, heartbeat: float, *, include_usage: bool
) -> Response:
    """Holds the status until there is something to send: a failure before that is a plain error."""
    events = run.events()
    first = await unless_gone(request, anext(events))
    frames = _frames(first, events, run.run_id, model, include_usage=include_usage)
    return StreamingResponse(
        sse.with_heartbeat(frames, heartbeat),
        media_type="text/event-stream",
        headers={**sse.HEADERS, **_headers(run)},
    )


def _headers(run: Running) -> dict[str, str]:
    return {RUN_HEADER: run.run_id, **({CACHE_HEADER: run.cache.word} if run.cache else {})}


async def _frames(
    first: str | RunResult,
    events: AsyncGenerator[str | RunResult, None],
    run_id: str,
    model: str,
    *,
    include_usage: bool,
) -> AsyncGenerator[bytes, None]:
    base: completions.Json = {
        "id": completions.completion_id(run_id),
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": model,
    }
    if include_usage:
        base["usage"] = None

    def chunk(delta: completions.Json, finish_reason: str | None = None, **extra: object) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return sse.frame({**base, "choices": [choice], **extra})

    yield chunk({"role": "assistant", "content": ""})
    try:
        async with aclosing(events):
            event: str | RunResult | None = first
            while event is not None:
                if isinstance(event, RunResult):
                    for frame in _ending(event, chunk_of=chunk):
                        yield frame
                    if include_usage:
                        yield sse.frame({**base, "choices": [], "usage": completions.usage(event)})
                else:
                    for piece in _PIECES.findall(event):
                        yield chunk({"content": piece})
                event = await anext(events, None)
    except RunFailedError as failed:
        # The status has left already: an error frame, and no [DONE] that would make it look whole.
        yield sse.frame(error_body(failed.error, step=failed.step))
        return
    yield sse.DONE


def _ending(result: RunResult, chunk_of: ChunkOf) -> list[bytes]:
    frames = []
    if result.finish_reason == "content_filter" and result.text:
        frames.append(chunk_of({"content": result.text}))
    delta: completions.Json = {}
    if result.citations:
        delta["annotations"] = completions.annotations(result.citations)
    frames.append(chunk_of(delta, result.finish_reason, sluice=completions.extension(result)))
    return frames
