"""Doubles of two endpoints that encode: OpenAI's `/v1/embeddings` and Text Embeddings Inference's `/embed`. Shapes,
statuses and error bodies are theirs; a text's vector counts its words by their hash, so like texts are near."""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import web


@dataclass
class EmbeddingServer:
    """What it answers, and what it was asked."""

    dimension: int = 64
    max_batch: int = 32
    """TEI's `--max-client-batch-size`."""
    statuses: list[int] = field(default_factory=list)
    """Answered first, one for each request; 200 after them. 0 cuts the connection."""
    retry_after: str = ""
    answer: Any = None
    """In place of vectors."""
    silent_seconds: float = 0.0
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    together: int = 0
    most_together: int = 0
    """Requests at the same time, at most."""


def vector(text: str, dimension: int) -> list[float]:
    """Counts of hashed words; not normalised."""
    counts = np.zeros(dimension)
    for word in re.findall(r"\w+", text.lower()):
        counts[zlib.crc32(word.encode()) % dimension] += 1.0
    return counts.tolist()


@asynccontextmanager
async def serving(server: EmbeddingServer) -> AsyncIterator[EmbeddingServer]:
    """Serves both on loopback for the length of the block; sets `url`, to which OpenAI's `/v1` is to be added."""

    async def asked(request: web.Request) -> web.StreamResponse | None:
        request["body"] = await request.json()
        server.requests.append(request["body"])
        server.headers.append(dict(request.headers))
        server.asked.set()
        await asyncio.sleep(server.silent_seconds)
        status = server.statuses.pop(0) if server.statuses else 200
        if status == 0 and request.transport is not None:
            request.transport.abort()
        if status == 200:
            return web.json_response(server.answer) if server.answer is not None else None
        headers = {"retry-after": server.retry_after} if server.retry_after else {}
        openai = request.path.startswith("/v1")
        return web.json_response(
            _error(status) if openai else _tei_error(status), status=status, headers=headers
        )

    async def openai(request: web.Request) -> web.StreamResponse:
        if (refusal := await asked(request)) is not None:
            return refusal
        body = request["body"]
        data = [
            {"object": "embedding", "index": index, "embedding": vector(text, server.dimension)}
            for index, text in enumerate(body["input"])
        ]
        usage = {"prompt_tokens": 8, "total_tokens": 8}
        return web.json_response(
            {"object": "list", "data": data[::-1], "model": body["model"], "usage": usage}
        )

    async def tei(request: web.Request) -> web.StreamResponse:
        if (refusal := await asked(request)) is not None:
            return refusal
        inputs = request["body"]["inputs"]
        if len(inputs) > server.max_batch:
            message = f"batch size {len(inputs)} > maximum allowed batch size {server.max_batch}"
            return web.json_response({"error": message, "error_type": "Validation"}, status=413)
        if any("\ufffd" in text for text in inputs):
            return web.json_response(_tei_error(422), status=422)
        return web.json_response([vector(text, server.dimension) for text in inputs])

    @web.middleware
    async def counted(request: web.Request, handler: Any) -> web.StreamResponse:
        server.together += 1
        server.most_together = max(server.most_together, server.together)
        try:
            return await handler(request)
        finally:
            server.together -= 1

    app = web.Application(middlewares=[counted])
    app.router.add_post("/v1/embeddings", openai)
    app.router.add_post("/embed", tei)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


def _error(status: int) -> dict[str, Any]:
    message, kind = {
        400: ("This model's maximum context length is 8192 tokens.", "invalid_request_error"),
        401: ("Incorrect API key provided.", "invalid_request_error"),
        404: ("The model `m` does not exist or you do not have access to it.", "invalid_request_error"),
        429: ("Rate limit reached.", "requests"),
    }.get(status, ("The server had an error while processing your request.", "server_error"))
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def _tei_error(status: int) -> dict[str, Any]:
    message, kind = {
        422: ("Tokenization error", "Tokenizer"),
        424: ("Inference failed", "Backend"),
        429: ("Model is overloaded", "Overloaded"),
    }.get(status, ("Service is unhealthy", "Unhealthy"))
    return {"error": message, "error_type": kind}
