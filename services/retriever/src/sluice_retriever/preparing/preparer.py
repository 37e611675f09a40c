"""The worker processes from outside: what a document does to one of them costs that document only."""

import asyncio
import time
from dataclasses import dataclass, field

from prometheus_client import Counter

from sluice_retriever.domain.chunking import Budget
from sluice_retriever.domain.model import Document, Prepared
from sluice_retriever.preparing import worker
from sluice_retriever.worker_pool import WorkerPool
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import DeadlineExceeded, Unavailable

_KILLED = Counter(
    names.PARSERS_KILLED, "Documents that killed their parser, or were too much for it", ("cause",)
)

#: Documents after which a process is replaced: parsers of many origins may leak.
_DOCUMENTS = 2_000
#: A process may die by no fault of its document; three times is no chance.
_ATTEMPTS = 3
#: Seconds beyond a document's own that a call waits: for the process to start, and for a call before that was left.
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """What reading documents may take."""

    processes: int
    seconds: float
    """For one document."""
    memory_bytes: int
    """For one process."""


@dataclass
class _Process:
    """One worker process, one document at a time."""

    pool: WorkerPool
    documents: int = field(default=0)
    left: bool = field(default=False)
    """It may still be at a document that nobody waits for."""

    async def renew(self) -> None:
        """Has the next document read by a new process."""
        self.documents = 0
        await asyncio.to_thread(self.pool.close)


class Preparer:
    """Worker processes, started with the first document. Close it in the end."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._processes = [
            _Process(
                WorkerPool(
                    "parser",
                    worker.start,
                    (bounds.memory_bytes,),
                    longest=_ATTEMPTS * bounds.seconds + _PATIENCE,
                )
            )
            for _ in range(bounds.processes)
        ]
        self._idle = asyncio.LifoQueue[_Process]()
        for process in self._processes:
            self._idle.put_nowait(process)

    async def prepare(self, document: Document, budget: Budget) -> Prepared:
        """Parses and cuts a document; whatever is wrong with it is its refusal."""
        process = await self._idle.get()
        try:
            return await self._prepare(process, document, budget)
        finally:
            self._idle.put_nowait(process)

    def close(self) -> None:
        """Ends the processes."""
        for process in self._processes:
            process.pool.close()

    async def _prepare(self, process: _Process, document: Document, budget: Budget) -> Prepared:
        for _ in range(_ATTEMPTS):
            started = time.monotonic()
            try:
                prepared = await process.pool.run(worker.prepare, document, budget, self._bounds.seconds)
            except (asyncio.CancelledError, DeadlineExceeded):
                process.left = True
                raise
            except MemoryError:
                _KILLED.labels("memory").inc()
                await process.renew()
                megabytes = self._bounds.memory_bytes >> 20
                return Prepared(refusal=f"needs more than {megabytes} MiB of memory to be read")
            except Unavailable:
                # The alarm of a document that was left ends the process too; this one has done nothing then.
                others, process.left = process.left, False
                if not others and time.monotonic() - started >= self._bounds.seconds:
                    _KILLED.labels("time").inc()
                    return Prepared(refusal=f"takes longer than {self._bounds.seconds:g} s to be read")
                _KILLED.labels("death").inc()
                continue
            process.left = False
            process.documents += 1
            if process.documents >= _DOCUMENTS:
                await process.renew()
            return prepared
        return Prepared(refusal="ends the process that reads it: damaged?")
