"""One worker process, replaced when it dies; each call bounded in time and in number."""

import asyncio
import logging
import multiprocessing
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from prometheus_client import Counter

from sluice_servicekit import deadlines
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import DeadlineExceeded, ResourceExhausted, Unavailable

_LOG = logging.getLogger(__name__)

_RESTARTS = Counter(names.WORKER_RESTARTS, "Worker processes started in place of dead ones", ("worker",))

T = TypeVar("T")

#: Seconds for a call that has no deadline of its own.
LONGEST = 60.0

#: Calls that may wait for the worker; more would only time out.
_MAX_WAITING = 256


class WorkerPool:
    """Runs functions in a process of its own, one after the other.

    Args:
        name: Which worker it is, for people.
        start: What each new process runs first, with its parent's id and `start_args`.
        start_args: More for `start`.
        prepare: Called with each new process's `submit`, before any other call reaches it.
        longest: Seconds that a call may take.
    """

    def __init__(
        self,
        name: str,
        start: Callable[..., None],
        start_args: tuple[object, ...] = (),
        prepare: Callable[[Callable[..., object]], None] = lambda _: None,
        longest: float = LONGEST,
    ) -> None:
        self._name = name
        self._start_with = start
        self._start_args = start_args
        self._prepare = prepare
        self._longest = longest
        self._pool: ProcessPoolExecutor | None = None
        self._waiting = 0

    def start(self) -> None:
        """Starts the process now rather than with the first call."""
        if self._pool is None:
            self._start().submit(os.getpid)

    async def run(self, function: Callable[..., T], *args: object, attempts: int = 1) -> T:
        """The function's result.

        Args:
            function: A function of a module, so that the process can find it.
            args: Its arguments.
            attempts: How often to try where the worker dies; more than once only for what changes nothing.

        Raises:
            Unavailable: the worker died; another is on its way.
            DeadlineExceeded: time ran out.
            ResourceExhausted: too many calls wait.
        """
        if self._waiting >= _MAX_WAITING:
            raise ResourceExhausted(f"too many calls wait for the {self._name}", retry_after=0.5)
        self._waiting += 1
        try:
            for _ in range(attempts - 1):
                try:
                    return await self._run_once(function, *args)
                except Unavailable:
                    _LOG.info("asking the new %s again", self._name)
            return await self._run_once(function, *args)
        finally:
            self._waiting -= 1

    def submit(self, function: Callable[..., object], *args: object) -> None:
        """Has the function run when its turn comes; nobody waits, and a dead worker is no matter."""
        if self._pool is None:
            return
        try:
            self._pool.submit(function, *args)
        except BrokenProcessPool:
            self._discard(self._pool)

    def close(self) -> None:
        """Ends the worker after the call it is at."""
        # Taken out first: a call that comes meanwhile starts a new one rather than find this one shut.
        pool, self._pool = self._pool, None
        if pool is not None:
            _let_go(pool)
            pool.shutdown(wait=True, cancel_futures=True)

    async def _run_once(self, function: Callable[..., T], *args: object) -> T:
        pool = self._pool or self._start()
        try:
            # submit() raises too, when the pool is known to be broken
            future = asyncio.wrap_future(pool.submit(function, *args))
            async with asyncio.timeout(deadlines.cap(self._longest)):
                return await future
        except BrokenProcessPool as error:
            self._discard(pool)
            raise Unavailable(f"the {self._name} died; it is being replaced", retry_after=0.5) from error
        except TimeoutError as error:
            raise DeadlineExceeded(f"the {self._name} did not answer in time") from error

    def _start(self) -> ProcessPoolExecutor:
        # spawn: a fork would copy gRPC's threads in an undefined state
        pool = ProcessPoolExecutor(
            max_workers=1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=self._start_with,
            initargs=(os.getpid(), *self._start_args),
        )
        self._pool = pool
        self._prepare(pool.submit)
        return pool

    def _discard(self, pool: ProcessPoolExecutor) -> None:
        if self._pool is pool:
            self._pool = None
            _RESTARTS.labels(self._name).inc()
            _LOG.error("the %s died", self._name)
        _let_go(pool)
        pool.shutdown(wait=False, cancel_futures=True)


def _let_go(pool: ProcessPoolExecutor) -> None:
    """Unblocks the thread that writes to a worker which has died: Python before 3.11.5 leaves the pipe open, and the
    write waits for ever where the pipe is full (python/cpython#94777). Later ones close it themselves, from a thread of
    theirs: a second close would hit whatever has the number by then."""
    queue = getattr(pool, "_call_queue", None)
    if sys.version_info < (3, 11, 5) and getattr(pool, "_broken", False) and queue is not None:
        queue._reader.close()  # noqa: SLF001 - as later versions do
