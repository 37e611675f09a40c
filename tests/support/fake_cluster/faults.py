"""What goes wrong with the operator's calls, write by write."""

import asyncio
from collections.abc import Callable

from sluice_servicekit import errors
from support.fake_cluster.cluster import FakeCluster
from support.fake_cluster.store import Key

#: What an API server may answer at any time.
PASSING: tuple[Callable[[], Exception], ...] = (
    lambda: errors.Unavailable("the API server cannot be reached"),
    lambda: errors.DeadlineExceeded("the API server did not answer in 30 s"),
    lambda: errors.ResourceExhausted("too many requests", retry_after=1.0),
    lambda: errors.Conflict("the object has been modified"),
)


class Faults:
    """Of one cluster. A write is failed before it is made, or after: then it took effect, and its reply is lost."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.reads_fail: Callable[[], Exception] | None = None
        self.killed = False
        """The operator is dead: it writes and reads nothing more."""
        self.seen = 0
        """Writes, failed ones included."""
        self._planned: dict[int, tuple[Callable[[], Exception] | None, bool]] = {}
        self._others: dict[int, Callable[[], object]] = {}
        cluster.before_write = self._before
        cluster.after_write = self._after
        cluster.before_read = self._read

    def fail(self, ahead: int, error: Callable[[], Exception], *, taken: bool) -> None:
        """Fails a write: the next one is 0 ahead. `taken` says whether it took effect."""
        self._planned[self.seen + ahead + 1] = (error, taken)

    def kill(self, ahead: int, *, taken: bool) -> None:
        """Ends the operator at a write."""
        self._planned[self.seen + ahead + 1] = (None, taken)

    def come_between(self, ahead: int, act: Callable[[], object]) -> None:
        """Somebody else does something just before a write."""
        self._others[self.seen + ahead + 1] = act

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        self._planned.clear()
        self._others.clear()
        self.reads_fail = None

    def _before(self, verb: str, key: Key) -> None:
        if self.killed:
            raise asyncio.CancelledError
        self.seen += 1
        if act := self._others.pop(self.seen, None):
            act()
        self._strike(taken=False)

    def _after(self, verb: str, key: Key) -> None:
        self._strike(taken=True)

    def _read(self, verb: str) -> None:
        if self.killed:
            raise asyncio.CancelledError
        if self.reads_fail is not None:
            raise self.reads_fail()

    def _strike(self, *, taken: bool) -> None:
        if self.seen not in self._planned or self._planned[self.seen][1] is not taken:
            return
        error, _ = self._planned.pop(self.seen)
        if error is None:
            self.killed = True
            raise asyncio.CancelledError
        raise error()
