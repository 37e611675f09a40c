"""Keeps a keyword store level with the vector store, whatever becomes of it. The vectors never wait for it."""

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable

from prometheus_client import Gauge

from sluice_retriever.keyword.reconciling import Reconciler
from sluice_retriever.keyword.store import KeywordStore
from sluice_servicekit import deadlines
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import ServiceError

_LOG = logging.getLogger(__name__)

_BEHIND = Gauge(
    names.KEYWORD_BEHIND, "1 while a keyword store may lack what is in force", ("knowledge_base",)
)

#: Seconds that a change may wait for the store; after one that failed, none does.
_PATIENCE = 10.0

#: Seconds for the first attempt to open it, for which its knowledge base waits.
_OPENING = 2.0

#: Seconds between comparisons where nothing has gone wrong, and after one that failed: at first, and at most.
_PERIOD, _PAUSE, _LONGEST_PAUSE = 3600.0, 1.0, 60.0


class Follower:
    """Tells a store of changes while it can be told, and has it brought level when it could not.

    Args:
        name: The knowledge base's, for people.
        keyword: The store.
        reconciler: Brings it level.
    """

    def __init__(self, name: str, keyword: KeywordStore, reconciler: Reconciler) -> None:
        self._name = name
        self._keyword = keyword
        self._reconciler = reconciler
        self._ready = False
        """The store has been opened, and has failed at nothing since."""
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Opens the store, or goes on trying to, and begins to compare."""
        _BEHIND.labels(self._name).set(1)
        try:
            with deadlines.limit(_OPENING):
                await self._open()
        except ServiceError as error:
            self._tell_of(error)
        # A context of its own: the deadline of whoever starts this is not its.
        self._task = asyncio.create_task(self._run(), context=contextvars.Context())

    async def tell(self, change: Callable[[], Awaitable[None]]) -> bool:
        """Makes a change to the store; False where it has not been told, and `compare` is to be called for once the
        vectors have changed."""
        if not self._ready:
            return False
        try:
            with deadlines.limit(_PATIENCE):
                await change()
        except Exception as error:
            self._ready = False
            self._tell_of(error)
            self._wanted.set()
            return False
        return True

    def compare(self) -> None:
        """Has the stores compared soon."""
        _BEHIND.labels(self._name).set(1)
        self._wanted.set()

    async def close(self) -> None:
        """Ends the comparison."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        pause = _PAUSE
        while True:
            self._wanted.clear()
            try:
                await self._open()
                done = await self._reconciler.run()
            except Exception as error:
                self._ready = False
                self._tell_of(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            if done.added or done.removed:
                _LOG.info(
                    "the keyword store of %r was given %d documents and rid of %d writes",
                    self._name,
                    done.added,
                    done.removed,
                )
            pause = _PAUSE
            if not self._wanted.is_set():
                _BEHIND.labels(self._name).set(0)
            await self._wait()

    async def _open(self) -> None:
        if not self._ready:
            await self._keyword.ensure()
            # From here on changes go to the store themselves; the comparison after it finds those before.
            self._ready = True

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_PERIOD):
                await self._wanted.wait()
        except TimeoutError:
            return

    def _tell_of(self, error: Exception) -> None:
        _BEHIND.labels(self._name).set(1)
        expected = isinstance(error, ServiceError)
        _LOG.warning("the keyword store of %r is behind: %s", self._name, error, exc_info=not expected)
