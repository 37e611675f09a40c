"""Doubles of two servers that rank: Text Embeddings Inference's `/rerank`, and `/v1/rerank` as vLLM, Jina and Cohere
have it. Shapes, statuses and error bodies are theirs; a text that is a number has that logit."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class RankingServer:
    """What it answers, and what it was asked."""

    max_batch: int = 32
    """TEI's `--max-client-batch-size`."""
    ranks: bool = True
    """False for a model that embeds."""
    statuses: list[int] = field(default_factory=list)
    """Answered first, one for each request; 200 after them. 0 cuts the connection."""
    retry_after: str = ""
    answer: Any = None
    """In place of scores."""
    knows_info: bool = True
    held: asyncio.Event | None = None
    """Requests after the first `unheld` wait for it."""
    unheld: int = 0
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    infos: int = 0


def logit(text: str) -> float:
    """What the model says of a text."""
    return float(text) if text.lstrip("-").replace(".", "", 1).isdigit() else 0.0


@asynccontextmanager
async def serving(server: RankingServer) -> AsyncIterator[RankingServer]:
    """Serves both on loopback for the length of the block; sets `url`, to which `/v1` is to be added for the second."""

    async def refused(request: web.Request, body: dict[str, Any]) -> web.StreamResponse | None:
        server.requests.append(body)
        server.headers.append({name.lower(): value for name, value in request.headers.items()})
        if server.held is not None and len(server.requests) > server.unheld:
            await server.held.wait()
        status = server.statuses.pop(0) if server.statuses else 200
        if status == 0 and request.transport is not None:
            request.transport.abort()
        if status == 200:
            return web.json_response(server.answer) if server.answer is not None else None
        headers = {"retry-after": server.retry_after} if server.retry_after else {}
        return web.json_response(_error(status), status=status, headers=headers)

    async def info(request: web.Request) -> web.StreamResponse:
        server.infos += 1
        if not server.knows_info:
            return web.Response(status=404)
        kind = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
        model_type = {"reranker": kind} if server.ranks else {"embedding": {"pooling": "cls"}}
        return web.json_response(
            {
                "model_id": "BAAI/bge-reranker-base",
                "model_sha": None,
                "model_dtype": "float16",
                "model_type": model_type,
                "max_concurrent_requests": 512,
                "max_input_length": 512,
                "max_batch_tokens": 16384,
                "max_batch_requests": None,
                "max_client_batch_size": server.max_batch,
                "auto_truncate": False,
                "tokenization_workers": 4,
                "version": "1.8.2",
                "sha": None,
                "docker_label": None,
            }
        )

    async def tei(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if (refusal := await refused(request, body)) is not None:
            return refusal
        texts = body["texts"]
        if not server.ranks:
            return web.json_response(
                {"error": "model is not a re-ranker model", "error_type": "Backend"}, status=424
            )
        if len(texts) > server.max_batch:
            message = f"batch size {len(texts)} > maximum allowed batch size {server.max_batch}"
            return web.json_response({"error": message, "error_type": "Validation"}, status=413)
        if any("\ufffd" in text for text in texts):
            return web.json_response(_error(422), status=422)
        scores = [logit(text) if body.get("raw_scores") else _sigmoid(logit(text)) for text in texts]
        ranks = [{"index": index, "score": score} for index, score in enumerate(scores)]
        return web.json_response(sorted(ranks, key=lambda rank: -rank["score"]))

    async def cohere(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if (refusal := await refused(request, body)) is not None:
            return refusal
        results = [
            {"index": index, "document": {"text": text}, "relevance_score": _sigmoid(logit(text))}
            for index, text in enumerate(body["documents"])
        ]
        best = sorted(results, key=lambda result: -result["relevance_score"])[: body["top_n"]]
        usage = {"total_tokens": 56}
        return web.json_response({"id": "rerank-1", "model": body["model"], "usage": usage, "results": best})

    app = web.Application()
    app.router.add_get("/info", info)
    app.router.add_post("/rerank", tei)
    app.router.add_post("/v1/rerank", cohere)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        if server.held is not None:
            server.held.set()
        await runner.cleanup()


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def _error(status: int) -> dict[str, Any]:
    message, kind = {
        401: ("Unauthorized", "Unauthorized"),
        422: ("Tokenization error", "Tokenizer"),
        424: ("Inference failed", "Backend"),
        429: ("Model is overloaded", "Overloaded"),
    }.get(status, ("Service is unhealthy", "Unhealthy"))
    return {"error": message, "error_type": kind}
