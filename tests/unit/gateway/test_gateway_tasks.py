"""Generators in tasks of their own: whatever they do when they are cancelled, nobody waits for them for ever."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from sluice_gateway.domain.tasks import in_background


async def test_one_that_loses_its_cancellation_ends_all_the_same():
    begun, closed = asyncio.Event(), asyncio.Event()

    async def deaf() -> AsyncGenerator[int, None]:
        try:
            try:
                begun.set()
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                pass
            yield 1
            yield 2
        finally:
            closed.set()

    async with asyncio.timeout(10):
        async with in_background(deaf()) as items:
            reading = asyncio.create_task(anext(items))
            await begun.wait()
        assert closed.is_set()
        await asyncio.gather(reading, return_exceptions=True)


async def test_items_come_in_order_and_errors_after_them():
    async def failing() -> AsyncGenerator[int, None]:
        yield 1
        yield 2
        raise ValueError("no third")

    seen: list[int] = []

    async def read() -> None:
        async with in_background(failing()) as items:
            async for item in items:
                seen.append(item)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(ValueError, match="no third"):
        await read()
    assert seen == [1, 2]
