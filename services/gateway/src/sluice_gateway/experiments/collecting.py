"""Counts how the runs of each arm end, and writes it behind them.

A run never waits for it. What is counted is written about once a second and at shutdown, so that a crash costs the
statistics a second; the journal has every run all the same.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from prometheus_client import Counter

from sluice_gateway.domain.experimenting.outcomes import Outcomes
from sluice_gateway.domain.observing import EndedRun
from sluice_gateway.experiments.store import STRETCH, Cell, OutcomeStore
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import ServiceError

_LOG = logging.getLogger(__name__)

_RUNS = Counter(
    names.EXPERIMENT_RUNS,
    "Runs of an experiment's arm by how they ended",
    ("experiment", "arm", "state", "counted"),
)

#: Seconds between two writes.
_INTERVAL = 1.0

#: Cells that may wait for a database that is away; the oldest goes first. Two days of five experiments of two arms.
_MOST_CELLS = 512


class OutcomeCollector:
    """A `RunObserver`.

    Args:
        now: Gives Unix seconds.
    """

    def __init__(self, store: OutcomeStore, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._cells: dict[Cell, Outcomes] = {}
        self._dirty: set[Cell] = set()
        self._writing = asyncio.Lock()
        self._away = False
        self._stretch = 0

    def run_ended(self, ended: EndedRun) -> None:
        """Counts a run; see `RunObserver.run_ended`."""
        if not ended.experiment:
            return
        counted = "yes" if ended.counted else "no"
        _RUNS.labels(ended.experiment, ended.arm, ended.state, counted).inc()
        if not ended.counted:
            return
        cell = Cell(ended.experiment, ended.arm, ended.model_name, self._current())
        if cell not in self._cells and len(self._cells) >= _MOST_CELLS:
            oldest = min(self._cells, key=lambda cell: cell.since)
            del self._cells[oldest]
            self._dirty.discard(oldest)
            _LOG.error("the database is away for too long: statistics of %s are lost", oldest.experiment)
        self._cells.setdefault(cell, Outcomes()).add(ended)
        self._dirty.add(cell)

    async def flush(self) -> None:
        """Writes all that was counted until now.

        Raises:
            Unavailable: the database cannot be written; what was counted is kept for the next time.
        """
        # A write goes on when its caller is cancelled: the next must not begin before it has ended, since what it
        # writes is less.
        failed = await asyncio.shield(asyncio.ensure_future(self._flush()))
        if failed is not None:
            raise failed

    async def _flush(self) -> ServiceError | None:
        async with self._writing:
            written, self._dirty = self._dirty, set()
            if not written:
                return None
            try:
                await self._store.write({cell: self._cells[cell].as_json() for cell in written})
            except ServiceError as error:
                self._dirty |= written & self._cells.keys()
                return error
            current = self._current()
            for cell in [cell for cell in self._cells if cell.since < current and cell not in self._dirty]:
                del self._cells[cell]
            return None

    def _current(self) -> int:
        """The stretch that runs are counted in. It never goes back with the clock: what is written of one that is over
        would be written over."""
        self._stretch = max(self._stretch, int(self._now() // STRETCH * STRETCH))
        return self._stretch

    async def flush_for_ever(self) -> None:
        """Writes about once a second; a database that is away is tried again."""
        pruned = 0.0
        while True:
            await asyncio.sleep(_INTERVAL)
            try:
                await self.flush()
                if self._now() - pruned > 3600:
                    pruned = self._now()
                    await self._store.prune(pruned)
            except ServiceError as error:
                if not self._away:
                    _LOG.warning("statistics of experiments wait to be written: %s", error.message)
                self._away = True
            except Exception:  # whatever it is, the next second is another one
                _LOG.exception("statistics of experiments cannot be written")
            else:
                self._away = False


@asynccontextmanager
async def collecting(collector: OutcomeCollector) -> AsyncIterator[None]:
    """Writes what is counted, for the length of the block and at its end."""
    writing = asyncio.create_task(collector.flush_for_ever())
    try:
        yield
    finally:
        writing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writing
        try:
            await collector.flush()
        except ServiceError as error:
            _LOG.error("the last statistics of experiments are lost: %s", error.message)
