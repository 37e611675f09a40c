"""Waits for what other processes bring about."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_SECONDS = 90.0


async def until(holds: Callable[[], Awaitable[T]], seconds: float = _SECONDS, what: str = "") -> T:
    """What `holds` gives once that is true; looks again every 50 ms.

    Raises:
        AssertionError: it is not true after `seconds`; says what it gave last.
    """
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    while True:
        found = await holds()
        if found:
            return found
        if clock() > end:
            raise AssertionError(f"{what or holds.__name__} is still {found!r} after {seconds:g} s")
        await asyncio.sleep(0.05)
