"""A double of vLLM's chat endpoint. Frames and errors are those that vLLM 0.32.0 gave when it was recorded; the
text is the test's."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class ModelServer:
    """What it answers, and what it was asked."""

    pieces: tuple[str, ...] = ("It is 40 ", "hours [1].")
    writes: Callable[[dict[str, Any]], tuple[str, ...]] | None = None
    """What it answers, by what it was asked; in place of `pieces`."""
    finish_reason: str = "stop"
    status: int = 200
    """Other than 200: the error that vLLM answers with."""
    rewritten: str = ""
    """What it answers where it is asked to rewrite a question; empty where it answers that like any other."""
    rewrite_status: int = 200
    break_after: int | None = None
    """Cuts the connection after so many pieces."""
    silent_seconds: float = 0.0
    silent_before: int = 0
    """The piece before which it is silent."""
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """A caller has left a stream."""


_ERRORS = {
    400: {
        "message": "This model's maximum context length is 1024 tokens. Please reduce the length of the input prompt.",
        "type": "BadRequestError",
        "param": "input_text",
        "code": 400,
    },
    401: {"message": "Unauthorized", "type": "Unauthorized", "param": None, "code": 401},
    404: {
        "message": "The model `unknown` does not exist. Valid aliases: tiny.",
        "type": "NotFoundError",
        "param": "model",
        "code": 404,
    },
    429: {"message": "busy", "type": "TooManyRequests", "param": None, "code": 429},
    500: {"message": "EngineCore died", "type": "InternalServerError", "param": None, "code": 500},
}


@asynccontextmanager
async def serving(server: ModelServer) -> AsyncIterator[ModelServer]:
    """Serves on loopback for the length of the block; sets `url`."""

    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        server.requests.append(body)
        server.asked.set()
        server.headers.append(dict(request.headers))
        rewriting = asks_to_rewrite(body)
        status = server.rewrite_status if rewriting else server.status
        if status != 200:
            headers = {"retry-after": "3"} if status == 429 else {}
            return web.json_response({"error": _ERRORS[status]}, status=status, headers=headers)
        pieces = server.pieces if server.writes is None else server.writes(body)
        if rewriting and server.rewritten:
            pieces = (server.rewritten,)
        return await _stream(server, request, body["model"], pieces)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    # A caller who leaves cancels the handler, as in vLLM.
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield server
    finally:
        await runner.cleanup()


def asks_to_rewrite(body: dict[str, Any]) -> bool:
    """True for a request that gives a conversation to rewrite the end of."""
    return body["messages"][-1]["content"].startswith("<conversation>")


async def _stream(
    server: ModelServer, request: web.Request, model: str, pieces: tuple[str, ...]
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
    identity = {"id": "chatcmpl-a9b4786348263f30", "object": "chat.completion.chunk", "created": 1795452003}
    base = {**identity, "model": model}

    async def frame(delta: dict[str, Any], finish: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish, "token_ids": None}
        await response.write(f"data: {json.dumps({**base, 'choices': [choice]})}\n\n".encode())

    try:
        await response.prepare(request)
        await frame({"role": "assistant", "content": ""})
        for index, piece in enumerate(pieces):
            if index == server.silent_before:
                await asyncio.sleep(server.silent_seconds)
            if index == server.break_after:
                request.transport.abort()
                return response
            await frame({"content": piece})
        await frame({"content": ""}, server.finish_reason)
        usage = {"prompt_tokens": 17, "total_tokens": 21, "completion_tokens": 4}
        await response.write(f"data: {json.dumps({**base, 'choices': [], 'usage': usage})}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
    except (asyncio.CancelledError, ConnectionError):
        server.left.set()
        raise
    return response
