"""Many at once, or one alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """Lets many hold it together, or one alone. Whoever wants it alone goes before those that come later."""

    def __init__(self) -> None:
        self._holders = 0
        self._wanted_alone = 0
        self._alone = False
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Holds it together with others."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._alone and not self._wanted_alone)
            self._holders += 1
        try:
            yield
        finally:
            async with self._changed:
                self._holders -= 1
                self._changed.notify_all()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Holds it while nobody else does."""
        async with self._changed:
            self._wanted_alone += 1
            try:
                await self._changed.wait_for(lambda: not self._alone and not self._holders)
                self._alone = True
            finally:
                self._wanted_alone -= 1
                self._changed.notify_all()
        try:
            yield
        finally:
            async with self._changed:
                self._alone = False
                self._changed.notify_all()
