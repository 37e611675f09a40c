"""The one thread that writes: groups what is queued into a commit, seals it, exports a checkpoint."""

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from prometheus_client import Gauge, Histogram

from sluice_gateway.domain.run import Event
from sluice_gateway.journal import checkpoints, schema
from sluice_gateway.journal.chain import Head, Keys, sealed
from sluice_gateway.journal.checkpoints import Checkpoint
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

Durable = Future[None]


class Writer:
    """Appends to one writer's chain until it is closed.

    Args:
        connection: Used by the writer's thread alone once it runs.
        head: Where the chain stands.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        folder: Path,
        keys: Keys,
        name: str,
        head: Head,
        capacity: int,
    ) -> None:
        self._connection = connection
        self._folder = folder
        self._keys = keys
        self._name = name
        self._head = head
        self._queue: queue.Queue[Event | Durable | None] = queue.Queue(maxsize=capacity)
        self._hurry = threading.Event()
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
        """Done once all that was queued before is durable; fails where it could not be written."""
        durable: Durable = Future()
        self._put(durable)
        self._hurry.set()
        return durable

    def close(self) -> None:
        """Writes what is queued and ends."""
        self._queue.put(None)
        self._hurry.set()
        self._thread.join(timeout=30)
        self._connection.close()

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
        try:
            with _COMMIT.time():
                schema.insert(self._connection, rows)
            self._head = head
            checkpoint = Checkpoint(self._name, head, time.time())
            checkpoints.write(self._folder, self._keys.checkpoints, checkpoint)
        except Exception as error:  # whatever it is, this thread must live: every run waits for it
            _LOG.exception("%d events could not be written", len(events))
            return Unavailable(f"the journal cannot be written: {error}", reason="JOURNAL_UNAVAILABLE")
        return None
