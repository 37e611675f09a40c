"""Runs as they start, go on and end, for whoever follows them. The journal is looked at only while somebody does."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from sluice_gateway.domain.run import ChangesOf, Event, EventKind, RunChange
from sluice_gateway.journal.port import Journal
from sluice_servicekit.errors import ResourceExhausted

_LOG = logging.getLogger(__name__)

#: Seconds between two looks at the journal. Other processes may write it, so looking is the only way to know.
_INTERVAL = 0.25

#: Followers at the same time; more are refused.
_MAX_FOLLOWERS = 256


class Following:
    """One look at the journal for all that follow changes; one each for those that follow a single run."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._followers = 0
        self._looking: asyncio.Task[None] | None = None
        self._position = 0
        self._moved = asyncio.Event()
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Ends what everybody follows; they resume elsewhere, or when the gateway is back."""
        self._closed.set()
        self._moved.set()

    async def changes(
        self, which: ChangesOf, after: int | None, last: int
    ) -> AsyncGenerator[RunChange | int, None]:
        """Changes as they come, until `close`. A position in between says that all up to it has been given.

        Args:
            after: Gives everything after this position; None starts now.
            last: How many to give of those before now, where it starts now.

        Raises:
            ResourceExhausted: too many follow already (`TOO_MANY_FOLLOWERS`).
        """
        with self._counted():
            if after is None:
                found, position = await self._journal.last_changes(which, last)
            else:
                # A journal that was put in another's place counts from 1 again.
                found, position = [], min(after, await self._journal.position())
            for change in found:
                yield change
            yield position
            while not self._closed.is_set():
                seen = self._position
                found, upto = await self._journal.changes(which, position)
                for change in found:
                    yield change
                if upto == position:
                    await self._until_moved(seen)
                position = upto

    async def events(self, run_id: str, after: int) -> AsyncGenerator[tuple[int, Event], None]:
        """A run's events, numbered from 1, until the run's end or `close`.

        Args:
            after: Leaves out as many.

        Raises:
            ResourceExhausted: too many follow already (`TOO_MANY_FOLLOWERS`).
        """
        with self._counted():
            while not self._closed.is_set():
                found = await self._journal.events(run_id)
                for number, event in enumerate(found[after:], after + 1):
                    yield number, event
                if any(event.kind is EventKind.RUN_ENDED for event in found):
                    return
                after = max(after, len(found))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_INTERVAL):
                        await self._closed.wait()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._followers >= _MAX_FOLLOWERS:
            raise ResourceExhausted(
                "too many follow the runs already", reason="TOO_MANY_FOLLOWERS", retry_after=5.0
            )
        self._followers += 1
        try:
            yield
        finally:
            self._followers -= 1
            if self._looking is not None and not self._followers:
                self._looking.cancel()
                self._looking = None

    async def _until_moved(self, seen: int) -> None:
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        while self._position == seen and not self._closed.is_set():
            await self._moved.wait()

    async def _look(self) -> None:
        while True:
            try:
                position = await self._journal.position()
            except Exception:  # whatever it is, followers wait for the next look
                _LOG.exception("the journal's position cannot be read")
            else:
                if position != self._position:
                    self._position = position
                    self._moved.set()
                    self._moved = asyncio.Event()
            await asyncio.sleep(_INTERVAL)
