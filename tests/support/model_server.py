"""A vLLM whose words are the test's: a front of `doubles.vllm` that answers by any model's name."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from doubles.vllm import FINGERPRINT, Asked, Call, Request, Vllm, Written, failed

__all__ = ["FINGERPRINT", "PROMPT_TOKENS", "Call", "ModelServer", "asks_to_rewrite", "serving"]

#: Tokens of every prompt.
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

    double = Vllm(
        heard=hear,
        write=write,
        left=server.left,
        any_model=True,
        any_length=True,
        fingerprint=server.fingerprint,
    )
    async with double:
        server.url = double.v1
        yield server


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
        prompt_tokens=PROMPT_TOKENS,
        break_after=server.break_after,
        silent_seconds=server.silent_seconds,
        silent_before=server.silent_before,
    )
