"""A second attempt beside a first that is slow: the first good one wins, the other is cancelled.

Dean and Barroso, "The Tail at Scale", CACM 2013.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def hedged(
    attempt: Callable[[], Coroutine[Any, Any, T]],
    after: float,
    *,
    may: Callable[[], bool],
    waits: Callable[[BaseException], bool],
) -> T:
    """What the first good attempt gives; raises what the last one raises where none is good.

    Args:
        attempt: Starts one; called once or twice.
        after: Seconds that the first has for itself.
        may: Asked once, where the first is late: whether a second may be started.
        waits: Asked when an attempt fails while the other is out: whether that may still be good.
    """
    running = {asyncio.create_task(attempt())}
    try:
        done, _ = await asyncio.wait(running, timeout=after)
        if not done and may():
            running.add(asyncio.create_task(attempt()))
        while True:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            good = [task for task in done if not _failed(task)]
            *earlier, last = [*(task for task in done if _failed(task)), *good[:1]]
            for task in earlier:  # both have ended at once
                waits(_error(task))
            if good or not running or not waits(_error(last)):
                return last.result()
    finally:
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        for task in running:
            _failed(task)  # has been seen


def _failed(task: asyncio.Task[T]) -> bool:
    return task.cancelled() or task.exception() is not None


def _error(task: asyncio.Task[T]) -> BaseException:
    return (
        asyncio.CancelledError() if task.cancelled() else task.exception() or RuntimeError("has not failed")
    )
