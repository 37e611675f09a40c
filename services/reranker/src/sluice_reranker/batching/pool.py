"""Worker processes that read with one model, and the requests that wait for them."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sluice_reranker.batching import metrics
from sluice_reranker.batching.pace import Pace
from sluice_reranker.batching.pairs import Load, Pair
from sluice_reranker.batching.process import WorkerDied, WorkerProcess
from sluice_reranker.batching.queueing import BATCH_SECONDS, Piece, Queue
from sluice_reranker.rankers.protocol import DEADLINE, Scores
from sluice_servicekit.errors import Internal, ResourceExhausted, ServiceError

_LOG = logging.getLogger(__name__)

#: Seconds that requests wait for one another where reading together is faster, and two or more wait anyway.
_WINDOW = 0.002
#: Seconds that a request without a deadline may take.
_LONGEST = 60.0
#: Seconds after which a worker begins nothing more of what it was given: the pace was wrong, or the machine is busy.
_BATCH_SECONDS = 2 * BATCH_SECONDS
#: Seconds until a worker is started again that could not be: the first time, and at most.
_RETRY, _LONGEST_RETRY = 0.5, 30.0


@dataclass(frozen=True, slots=True)
class Workers:
    """How many processes, and where."""

    count: int
    cores: Sequence[int] = ()
    """Each worker's core, in turn; any where there are none."""
    most_waiting: int = 64
    """Requests that may wait; more would only time out."""

    def core(self, number: int) -> int | None:
        """The core of a worker, by its number."""
        return self.cores[number % len(self.cores)] if self.cores else None


class Pool:
    """The processes of one model; each has loaded it. `start` makes it."""

    def __init__(
        self, load: Load, workers: Workers, threads: ThreadPoolExecutor, started: Sequence[WorkerProcess]
    ) -> None:
        self._load = load
        self._workers = workers
        self._threads = threads
        self._alive = dict(enumerate(started))
        loaded = started[0].loaded
        self.model = loaded.name
        self._at_once = loaded.at_once
        self._queue = Queue(Pace(loaded.seconds_per_token), loaded.most_tokens)
        self._arrived = asyncio.Event()
        self._serving = [asyncio.create_task(self._serve(number)) for number in self._alive]

    @classmethod
    async def start(cls, load: Load, workers: Workers) -> "Pool":
        """A pool whose processes have loaded the model: one first, which tells whether it can be.

        Raises:
            FailedPrecondition: the model cannot be used.
        """
        loop = asyncio.get_running_loop()
        threads = ThreadPoolExecutor(workers.count, "reranking")
        started: list[WorkerProcess] = []
        try:
            started.append(await loop.run_in_executor(threads, WorkerProcess, load, workers.core(0)))
            others = [
                loop.run_in_executor(threads, WorkerProcess, load, workers.core(number))
                for number in range(1, workers.count)
            ]
            for outcome in await asyncio.gather(*others, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
                started.append(outcome)
        except BaseException:
            for worker in started:
                worker.end()
            threads.shutdown(wait=False, cancel_futures=True)
            raise
        return cls(load, workers, threads, started)

    @property
    def pids(self) -> list[int]:
        """The processes."""
        return [worker.pid for worker in self._alive.values()]

    async def read(self, pairs: Sequence[Pair], until: float | None) -> Scores:
        """How well each passage answers, as far as that can be told in time. What was not begun when the caller leaves
        is not begun any more.

        Args:
            pairs: The most promising first.
            until: By `time.monotonic`.

        Raises:
            ResourceExhausted: too many requests wait.
            ServiceError: nothing could be read.
        """
        if not pairs:
            return Scores(())
        if self._queue.jobs >= self._workers.most_waiting:
            wait = self._queue.seconds / self._workers.count
            raise ResourceExhausted(
                f"{self._queue.jobs} requests wait for the ranker", retry_after=max(0.1, min(wait, 30.0))
            )
        loop = asyncio.get_running_loop()
        settled: asyncio.Future[None] = loop.create_future()
        now = time.monotonic()
        until = now + _LONGEST if until is None else until

        def settle() -> None:
            if not settled.done():
                settled.set_result(None)

        job = self._queue.add(pairs, now, until, settle)
        self._arrived.set()
        try:
            async with asyncio.timeout(max(0.0, until - now)):
                await settled
        except TimeoutError:
            job.late = True
        finally:
            self._queue.remove(job)
        if job.failure is not None and all(value is None for value in job.relevance):
            raise job.failure
        reason = job.failure.reason if job.failure is not None else DEADLINE if job.late else ""
        return Scores(tuple(job.relevance), reason if None in job.relevance else "")

    async def close(self) -> None:
        """Ends the processes."""
        for serving in self._serving:
            serving.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        self._queue.fail(_gone(self.model))
        for worker in self._alive.values():
            worker.kill()
        await asyncio.to_thread(self._threads.shutdown)
        for worker in self._alive.values():
            await asyncio.to_thread(worker.end)

    async def _serve(self, number: int) -> None:
        """Has one worker read, for ever; another takes its place when it dies."""
        loop = asyncio.get_running_loop()
        while True:
            pieces = await self._next()
            self._observe(pieces)
            worker = self._alive[number]
            if self._at_once > 1:
                pieces.sort(
                    key=lambda piece: piece.tokens
                )  # what is read in one pass is padded to the longest
            pairs = [piece.pair for piece in pieces]
            left = min(piece.job.until for piece in pieces) - time.monotonic()
            try:
                read = await loop.run_in_executor(
                    self._threads, worker.read, pairs, min(_BATCH_SECONDS, left)
                )
            except WorkerDied:
                _LOG.error("a worker of the ranker %s has died", self.model)
                self._queue.died(pieces, _gone(self.model))
                self._arrived.set()
                await self._replace(number)
            except ServiceError as error:
                self._queue.failed(pieces, error)
            else:
                count = len(read.relevance)
                self._queue.pace.note(read.seconds, sum(piece.tokens for piece in pieces[:count]))
                self._queue.give_back(pieces[count:])
                self._queue.read(pieces[:count], read.relevance)
                metrics.PAIR_SECONDS.labels(self.model).observe(read.seconds / count)

    async def _next(self) -> list[Piece]:
        """What to read next, as soon as there is something."""
        while True:
            if self._at_once > 1 and self._queue.jobs > 1 and not self._queue.fills_a_batch:
                await asyncio.sleep(_WINDOW)
            if pieces := self._queue.take(time.monotonic()):
                return pieces
            self._arrived.clear()
            await self._arrived.wait()

    async def _replace(self, number: int) -> None:
        del self._alive[number]
        wait = _RETRY
        loop = asyncio.get_running_loop()
        start: Callable[[], WorkerProcess] = lambda: WorkerProcess(self._load, self._workers.core(number))  # noqa: E731
        while True:
            metrics.RESTARTS.labels(self.model).inc()
            try:
                self._alive[number] = await loop.run_in_executor(self._threads, start)
            except ServiceError as error:
                _LOG.error("the ranker %s cannot be loaded again: %s", self.model, error.message)
                if not self._alive:
                    self._queue.fail(error)
            else:
                return
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_RETRY)

    def _observe(self, pieces: Sequence[Piece]) -> None:
        jobs = {id(piece.job): piece.job for piece in pieces}
        metrics.BATCH_PAIRS.labels(self.model).observe(len(pieces))
        metrics.BATCH_REQUESTS.labels(self.model).observe(len(jobs))
        for job in jobs.values():
            if not job.begun:
                job.begun = True
                metrics.QUEUE_SECONDS.labels(self.model).observe(time.monotonic() - job.since)


def _gone(model: str) -> Internal:
    return Internal(
        f"the process of the ranker {model} has died twice over this request", reason="RANKER_DIED"
    )
