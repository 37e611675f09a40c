"""Async generators in a task of their own.

Context variables and `asyncio.timeout` belong to a task, but a generator runs in whichever task asks for the next
item. One that binds either must therefore be read by a single task from beginning to end.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar

from anyio import create_memory_object_stream
from anyio.streams.memory import MemoryObjectSendStream

T = TypeVar("T")


@asynccontextmanager
async def in_background(items: AsyncGenerator[T, None], ahead: int = 0) -> AsyncIterator[AsyncIterator[T]]:
    """The items, made by one task and read by any. When the block is left, the generator has been closed, even where
    somebody still waits for an item.

    Args:
        ahead: Items that may be made before they are asked for.
    """
    send, receive = create_memory_object_stream[T](ahead)
    making = asyncio.create_task(_make(items, send))

    async def made() -> AsyncIterator[T]:
        async for item in receive:
            yield item
        await making  # raises what the generator raised

    try:
        yield made()
    finally:
        making.cancel()
        receive.close()  # before it is waited for: one that goes on all the same must not wait for a reader
        await asyncio.gather(making, return_exceptions=True)


async def in_own_task(items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The same as a generator."""
    async with in_background(items) as made:
        async for item in made:
            yield item


async def _make(items: AsyncGenerator[T, None], send: MemoryObjectSendStream[T]) -> None:
    async with send, aclosing(items):
        async for item in items:
            await send.send(item)


async def together(works: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """What each gives, in order. Where one fails, so does all of it, and the others are cancelled."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()  # does nothing once it has ended
        await asyncio.gather(*tasks, return_exceptions=True)
