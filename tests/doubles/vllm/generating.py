"""Requests for text: from the prompt through the engine to the reply, whole or streamed."""

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from aiohttp import web

from doubles.vllm import chat as chat_replies
from doubles.vllm import completion, errors, refusing, tokens
from doubles.vllm.chat import Frame, Usage
from doubles.vllm.engine import Job
from doubles.vllm.errors import ApiError
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
    if isinstance(prompt, list) and not isinstance(prompt[0], int):
        raise ApiError(501, "this double takes one prompt", "NotImplementedError", "prompt")
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
    reply = _Reply(server, request, {**body, "model": body.get("model") or server.settings.model}, written)
    job = Job(adapter, ids, most)
    ended = "abort"
    try:
        if body.get("stream"):
            response = await reply.stream(job, chunks)
        else:
            response = await reply.whole(job, whole)
        ended = "length" if written.finish_reason == "length" else "stop"
        return response
    except (asyncio.CancelledError, ConnectionError):
        server.left.set()
        raise
    finally:
        server.metrics.finished(ended)


class _Reply:
    def __init__(self, server: "Vllm", request: web.Request, body: Json, written: Written) -> None:
        self._server = server
        self._request = request
        self._body = body
        self._written = written

    async def whole(self, job: Job, whole: Whole) -> web.Response:
        async with self._server.engine.admitted(job):
            await asyncio.sleep(self._written.silent_seconds)
            usage = self._usage(job)
            reply = whole(self._body, self._written, usage, self._server.fingerprint)
            for _ in range(max(usage.written.values())):
                await self._server.engine.step(job)
        return web.Response(body=compact(reply), content_type="application/json")

    async def stream(self, job: Job, chunks: Chunks) -> web.StreamResponse:
        """The status is sent at once, however long the request waits; the first frame with the first token."""
        response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        await response.prepare(self._request)
        try:
            async with self._server.engine.admitted(job):
                frames = chunks(self._body, self._written, self._usage(job), self._server.fingerprint)
                if not await self._send(response, frames, job):
                    return response
        except ApiError as error:
            await response.write(f"data: {json.dumps(error.body)}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _send(self, response: web.StreamResponse, frames: Iterable[Frame], job: Job) -> bool:
        """False where the connection is cut in the middle."""
        written, faults = self._written, self._server.faults
        break_after = written.break_after if faults.break_after is None else faults.break_after
        place: int | None = None
        await self._server.engine.step(job)
        stepped = True
        for frame in frames:
            if frame.place is not None and frame.place != place:  # the next piece of every answer
                place = frame.place
                if place == written.silent_before:
                    await asyncio.sleep(written.silent_seconds)
                if place == break_after:
                    assert self._request.transport is not None
                    self._request.transport.abort()
                    return False
            if frame.is_token and not stepped:
                await self._server.engine.step(job)
            stepped = stepped and not frame.is_token
            await response.write(b"data: " + compact(frame.json) + b"\n\n")
        return True

    def _usage(self, job: Job) -> Usage:
        settings, told = self._server.settings, self._written.prompt_tokens
        return Usage(
            len(job.tokens) if told is None else told,
            job.cached if settings.prompt_tokens_details else None,
            settings.reasoning_parser,
        )
