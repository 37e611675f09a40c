"""Ctrl-C and SIGTERM as a request to end in order, from the first moment on."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress


def run(main: Coroutine[None, None, None]) -> bool:
    """Runs to the end, or until a signal cancels it; it then cleans up. True where it was cancelled."""
    return asyncio.run(_run(main))


async def _run(main: Coroutine[None, None, None]) -> bool:
    running = asyncio.ensure_future(main)
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, running.cancel)
    with suppress(asyncio.CancelledError):
        await running
    return running.cancelled()
