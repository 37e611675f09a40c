"""What has expired is removed, in every knowledge base that can be reached."""

import asyncio

import pytest

from sluice_retriever.sweeping import keep_sweeping, sweep
from sluice_servicekit.errors import Unavailable


async def test_one_knowledge_base_that_fails_keeps_no_other_from_being_swept() -> None:
    swept: list[float] = []

    async def fails(now: float) -> int:
        raise Unavailable("away")

    async def works(now: float) -> int:
        swept.append(now)
        return 2

    await sweep(lambda: {"a": fails, "b": works}, lambda: 1000.0)

    assert swept == [940.0]


async def test_sweeping_goes_on_after_a_fault_of_ours() -> None:
    calls = asyncio.Queue[None]()

    async def broken(now: float) -> int:
        calls.put_nowait(None)
        raise RuntimeError("a fault")

    task = asyncio.create_task(keep_sweeping(lambda: {"a": broken}, lambda: 0.0, 0.001))
    await calls.get()
    await calls.get()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
