"""A vLLM whose words are the test's: a front of `doubles.vllm` that answers by any model's name."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from doubles.vllm import (
    FINGERPRINT,
    Asked,
    Call,
    Request,
    Settings,
    Vllm,
    Written,
    believing,
    failed,
)

__all__ = ["FINGERPRINT", "PROMPT_TOKENS", "Call", "ModelServer", "asks_to_rewrite", "serving"]

#: Tokens of every prompt, where it does not count them.
PROMPT_TOKENS = 17


@dataclass
class ModelServer:
    """What it answers, and what it was asked."""

    pieces: tuple[str, ...] = ("It is 40 ", "hours [1].")
    writes: Callable[[dict[str, Any]], tuple[str, ...]] | None = None
    """What it answers, by what it was asked; in place of `pieces`."""
    others: tuple[tuple[str, ...], ...] = ()
    """What it answers besides, where several answers are asked for; the first again where there are not as many."""
    calls: tuple[Call, ...] = ()
    """What it calls where it may, in place of an answer; not where it has just been given a tool's result."""
    json: tuple[str, ...] = ()
    """What it answers where JSON is asked for."""
    reasoning: tuple[str, ...] = ()
    """What it thinks first."""
    fingerprint: str = FINGERPRINT
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
    tokens: Callable[[str], int] | None = None
    """How many tokens a text has: there is `/tokenize` then, and what is asked has as many."""
    context: int | None = None
    """How many tokens its model holds, where it tells."""
    tokenized: list[dict[str, Any]] = field(default_factory=list)
    """What it was asked to count."""
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """A caller has left a stream."""


@asynccontextmanager
async def serving(server: ModelServer) -> AsyncIterator[ModelServer]:
    """Serves on loopback for the length of the block; sets `url`."""

    def hear(request: Request) -> None:
        server.requests.append(request.body)
        server.headers.append(dict(request.headers))
        server.asked.set()
        status = server.rewrite_status if asks_to_rewrite(request.body) else server.status
        if status != 200:
            raise failed(status)

    def write(asked: Asked) -> Written:
        return _written(server, asked.body)

    def tokenize(body: dict[str, Any]) -> list[int]:
        server.tokenized.append(body)
        if server.tokens is None:
            raise web.HTTPNotFound
        return [0] * prompt_tokens(server, body)

    double = Vllm(
        Settings(max_model_len=server.context),
        read=believing,
        tokenize=tokenize,
        heard=hear,
        write=write,
        left=server.left,
        any_model=True,
        any_length=True,
        fingerprint=server.fingerprint,
    )
    async with double:
        await double.load("support-de", "/adapters/support-de")
        server.url = double.v1
        yield server


def prompt_tokens(server: ModelServer, body: dict[str, Any]) -> int:
    """Of what is asked, in a template that puts five tokens around each message."""
    if server.tokens is None:
        return PROMPT_TOKENS
    return 3 + sum(5 + server.tokens(message["content"] or "") for message in body["messages"])


def asks_to_rewrite(body: dict[str, Any]) -> bool:
    """True for a request that gives a conversation to rewrite the end of."""
    return body["messages"][-1]["content"].startswith("<conversation>")


def _written(server: ModelServer, body: dict[str, Any]) -> Written:
    pieces = server.pieces if server.writes is None else server.writes(body)
    if server.rewritten and asks_to_rewrite(body):
        pieces = (server.rewritten,)
    if server.json and "response_format" in body:
        pieces = server.json
    count = body.get("n", 1)
    others = [*server.others, *[pieces] * count]
    may_call = body.get("tools") and body.get("tool_choice") != "none"
    return Written(
        (pieces, *others[: count - 1]),
        server.finish_reason,
        calls=server.calls if may_call and body["messages"][-1]["role"] != "tool" else (),
        reasoning=server.reasoning,
        prompt_tokens=prompt_tokens(server, body),
        break_after=server.break_after,
        silent_seconds=server.silent_seconds,
        silent_before=server.silent_before,
    )
