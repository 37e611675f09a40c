"""An async generator in a task of its own.

Context variables and `asyncio.timeout` belong to a task, but a generator runs in whichever task asks for the next
item. One that binds either must therefore be read by a single task from beginning to end.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from anyio import create_memory_object_stream
from anyio.streams.memory import MemoryObjectSendStream

T = TypeVar("T")


async def in_own_task(items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The items, made by one task; it is cancelled, and has ended, once this is closed."""
    send, receive = create_memory_object_stream[T](0)
    making = asyncio.create_task(_make(items, send))
    try:
        async with receive:
            async for item in receive:
                yield item
        await making
    finally:
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)


async def _make(items: AsyncGenerator[T, None], send: MemoryObjectSendStream[T]) -> None:
    async with send, aclosing(items):
        async for item in items:
            await send.send(item)
