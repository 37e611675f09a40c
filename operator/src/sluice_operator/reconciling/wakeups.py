"""Who is to be reconciled: bursts of events become one pass."""

import asyncio
from collections import defaultdict


class Wakeups:
    """One flag for each custom resource, by its uid."""

    def __init__(self) -> None:
        self._flags: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def wake(self, uid: str) -> None:
        """Has the object reconciled soon."""
        self._flags[uid].set()

    def clear(self, uid: str) -> None:
        """To be called before a pass reads anything, so that no change is lost."""
        self._flags[uid].clear()

    def forget(self, uid: str) -> None:
        """The object is gone."""
        self._flags.pop(uid, None)

    async def wait(self, uid: str, seconds: float) -> bool:
        """Returns once the object is woken, else after `seconds`; true where it was woken."""
        try:
            async with asyncio.timeout(seconds):
                await self._flags[uid].wait()
        except TimeoutError:
            return False
        return True
