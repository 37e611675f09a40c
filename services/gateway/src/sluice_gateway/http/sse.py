"""Server-sent events as OpenAI's clients read them: a blank line after each, comments while nothing comes."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

import orjson

#: No proxy may hold a stream back or compress it.
HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}

DONE = b"data: [DONE]\n\n"
HEARTBEAT = b": still here\n\n"


def frame(content: Any) -> bytes:
    """One event."""
    return b"data: " + orjson.dumps(content) + b"\n\n"


def numbered(number: int, content: Any) -> bytes:
    """One event that a reader can resume after."""
    return place(number)[:-1] + frame(content)


def place(number: int) -> bytes:
    """No event: only where a reader that has seen all up to here resumes."""
    return b"id: %d\n\n" % number


async def with_heartbeat(frames: AsyncGenerator[bytes, None], seconds: float) -> AsyncGenerator[bytes, None]:
    """The frames, with a comment after each `seconds` of silence."""
    async with aclosing(frames), aclosing(_beating(frames, seconds)) as beating:
        async for each in beating:
            yield each


async def _beating(frames: AsyncIterator[bytes], seconds: float) -> AsyncGenerator[bytes, None]:
    waiting: asyncio.Future[bytes] = asyncio.ensure_future(_next(frames))
    try:
        while True:
            done, _ = await asyncio.wait({waiting}, timeout=seconds)
            if not done:
                yield HEARTBEAT
                continue
            try:
                yield waiting.result()
            except StopAsyncIteration:
                return
            waiting = asyncio.ensure_future(_next(frames))
    finally:
        waiting.cancel()
        with suppress(asyncio.CancelledError, StopAsyncIteration, Exception):
            await waiting


async def _next(frames: AsyncIterator[bytes]) -> bytes:
    return await anext(frames)
