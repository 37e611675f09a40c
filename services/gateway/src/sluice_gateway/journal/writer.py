"""The one thread that writes: groups what is queued into a commit, seals it, exports a checkpoint."""

import logging
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from prometheus_client import Gauge, Histogram

from sluice_gateway.domain.run import Event
from sluice_gateway.journal import checkpoints
from sluice_gateway.journal.chain import Head, Keys, Row, sealed
from sluice_gateway.journal.checkpoints import Checkpoint
from sluice_gateway.journal.sink import LaterError, Sink
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import ResourceExhausted, Unavailable

_LOG = logging.getLogger(__name__)

_QUEUE = Gauge(names.JOURNAL_QUEUE, "Events that wait to be written")
_COMMIT = Histogram(names.JOURNAL_COMMIT_SECONDS, "Time of one group commit")

#: Events in one transaction.
_GROUP = 2048

#: Seconds that events wait for others to be written with, unless somebody waits for them: a commit costs the same for
#: one event as for all of a run's.
_WINDOW = 0.02

#: Seconds between two attempts to write, first and at most.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0

#: Seconds that the database may be away before whoever asks for a commit is refused at once.
_OUTAGE = 2.0

#: Seconds a closing writer still tries for.
_CLOSING = 5.0

Durable = Future[None]


class Writer:
    """Appends to one writer's chain until it is closed.

    Args:
        sink: Used by the writer's thread alone once it runs.
        folder: Where checkpoints are exported to.
        head: Where the chain stands.
        capacity: Events that may wait.
    """

    def __init__(self, sink: Sink, folder: Path, keys: Keys, name: str, head: Head, capacity: int) -> None:
        self._sink = sink
        self._folder = folder
        self._keys = keys
        self._name = name
        self._head = head
        self._queue: queue.Queue[Event | Durable | None] = queue.Queue(maxsize=capacity)
        self._hurry = threading.Event()
        self._away_since: float | None = None
        self._closing = threading.Event()
        self._give_up_at = 0.0
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()
        _QUEUE.set_function(self._queue.qsize)

    def append(self, event: Event) -> None:
        """Queues an event.

        Raises:
            ResourceExhausted: the queue is full.
        """
        self._put(event)

    def flush(self) -> Durable:
        """Done once all that was queued before is durable; fails where it could not be written.

        Raises:
            Unavailable: the database has been away for a while.
            ResourceExhausted: the queue is full.
        """
        away_since = self._away_since
        if away_since is not None and time.monotonic() - away_since > _OUTAGE:
            raise Unavailable(
                "the journal's database is away; try again", reason="JOURNAL_UNAVAILABLE", retry_after=1.0
            )
        durable: Durable = Future()
        self._put(durable)
        self._hurry.set()
        return durable

    def close(self) -> None:
        """Writes what is queued and ends."""
        self._give_up_at = time.monotonic() + _CLOSING
        self._closing.set()
        self._hurry.set()
        try:
            self._queue.put(None, timeout=_CLOSING)
        except queue.Full:
            _LOG.error("the journal closes with a full queue")  # its thread is a daemon
        self._thread.join(timeout=30)
        self._sink.close()

    def _put(self, item: Event | Durable) -> None:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            raise ResourceExhausted(
                "the journal cannot keep up; try again", reason="JOURNAL_FULL", retry_after=1.0
            ) from None

    def _run(self) -> None:
        closed = False
        failure: Unavailable | None = None
        while not closed:
            group, waiting, closed = self._next_group()
            if group:
                failure = self._commit(group)
            for durable in waiting:
                if not durable.set_running_or_notify_cancel():
                    continue  # the caller has left
                if failure is None:
                    durable.set_result(None)
                else:
                    durable.set_exception(failure)

    def _next_group(self) -> tuple[list[Event], list[Durable], bool]:
        events: list[Event] = []
        waiting: list[Durable] = []
        item = self._queue.get()
        if isinstance(item, Event):
            self._hurry.wait(_WINDOW)
        self._hurry.clear()  # who sets it has queued before, so what it is set for is in this group or is the next
        while True:
            if item is None:
                return events, waiting, True
            if isinstance(item, Future):
                waiting.append(item)
            else:
                events.append(item)
            if len(events) >= _GROUP:
                return events, waiting, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return events, waiting, False

    def _commit(self, events: Sequence[Event]) -> Unavailable | None:
        rows, head = [], self._head
        for event in events:
            row = sealed(self._keys.rows, self._name, head, event)
            head = Head(row.seq, row.hash)
            rows.append(row)
        checkpoint = Checkpoint(self._name, head, time.time())
        try:
            self._insert(rows, checkpoint)
            self._head = head
            checkpoints.write(self._folder, self._keys.checkpoints, checkpoint)
        except Exception as error:  # whatever it is, this thread must live: every run waits for it
            _LOG.exception("%d events could not be written", len(events))
            return Unavailable(
                f"the journal cannot be written: {type(error).__name__}", reason="JOURNAL_UNAVAILABLE"
            )
        return None

    def _insert(self, rows: Sequence[Row], checkpoint: Checkpoint) -> None:
        """Tries until it is done: the rows' seals are made, and those that follow build on them."""
        pause = _FIRST_PAUSE
        while True:
            try:
                with _COMMIT.time():
                    self._sink.insert(rows, checkpoint)
            except LaterError as error:
                if self._away_since is None:
                    self._away_since = time.monotonic()
                    _LOG.warning("the journal's database is away, events wait: %s", error)
                if self._closing.wait(pause):
                    if time.monotonic() > self._give_up_at:
                        raise
                    time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                if self._away_since is not None:
                    _LOG.warning("the journal's database is back")
                    self._away_since = None
                return
