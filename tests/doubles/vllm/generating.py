"""Requests for text: from the prompt through the engine to the reply, whole or streamed."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from aiohttp import web

from doubles.vllm import chat as chat_replies
from doubles.vllm import completion, errors, refusing, tokens
from doubles.vllm.chat import Frame, Usage
from doubles.vllm.engine import Job
from doubles.vllm.writing import Asked, Json, Written, compact

if TYPE_CHECKING:
    from doubles.vllm.server import Vllm

Chunks = Callable[[Json, Written, Usage, str], Iterable[Frame]]
Whole = Callable[[Json, Written, Usage, str], Json]


async def chat(server: "Vllm", request: web.Request, body: Json) -> web.StreamResponse:
    """`POST /v1/chat/completions`."""
    prompt = tokens.chat_text(body["messages"])
    return await _generate(server, request, body, prompt, chat_replies.Chunks, chat_replies.whole)


async def completions(server: "Vllm", request: web.Request, body: Json) -> web.StreamResponse:
    """`POST /v1/completions`, of one prompt."""
    prompt = body["prompt"]
    text = prompt if isinstance(prompt, str) else tokens.decode(prompt)
    return await _generate(
        server, request, {"max_tokens": 16} | body, text, completion.Chunks, completion.whole
    )


async def _generate(
    server: "Vllm", request: web.Request, body: Json, prompt: str, chunks: Chunks, whole: Whole
) -> web.StreamResponse:
    if server.died.is_set():
        raise errors.engine_died()
    adapter = server.adapter(body.get("model"))
    ids = tokens.encode(prompt)
    most = 0 if server.any_length else refusing.lengths(body, server.settings, prompt, len(ids))
    written = server.write(Asked(body, request.headers, adapter, prompt, most))
    job = Job(adapter, ids, most)
    body = {**body, "model": body.get("model") or server.settings.model}
    ended = "abort"
    try:
        async with server.engine.admitted(job):
            details = server.settings.prompt_tokens_details
            usage = Usage(
                len(ids) if written.prompt_tokens is None else written.prompt_tokens,
                job.cached if details else None,
                server.settings.reasoning_parser,
            )
            if body.get("stream"):
                frames = chunks(body, written, usage, server.fingerprint)
                response = await _Stream(server, request, job, written).send(frames)
            else:
                await asyncio.sleep(written.silent_seconds)
                reply = whole(body, written, usage, server.fingerprint)
                for _ in range(max(usage.written.values())):
                    await server.engine.step(job)
                response = web.Response(body=compact(reply), content_type="application/json")
        ended = "length" if written.finish_reason == "length" else "stop"
        return response
    except (asyncio.CancelledError, ConnectionError):
        server.left.set()
        raise
    finally:
        server.metrics.finished(ended)


class _Stream:
    def __init__(self, server: "Vllm", request: web.Request, job: Job, written: Written) -> None:
        self._server = server
        self._request = request
        self._job = job
        self._written = written
        self._response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})

    async def send(self, frames: Iterable[Frame]) -> web.StreamResponse:
        await self._response.prepare(self._request)
        written, faults = self._written, self._server.faults
        break_after = written.break_after if faults.break_after is None else faults.break_after
        place: int | None = None
        for frame in frames:
            if frame.place is not None and frame.place != place:  # the next piece of every answer
                place = frame.place
                if place == written.silent_before:
                    await asyncio.sleep(written.silent_seconds)
                if place == break_after:
                    assert self._request.transport is not None
                    self._request.transport.abort()
                    return self._response
            if frame.is_token:
                await self._server.engine.step(self._job)
            await self._response.write(b"data: " + compact(frame.json) + b"\n\n")
        await self._response.write(b"data: [DONE]\n\n")
        return self._response
