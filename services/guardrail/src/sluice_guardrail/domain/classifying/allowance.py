"""How far the classifiers of one check may go."""

import math
import time
from dataclasses import dataclass, field
from threading import Event
from typing import Self


@dataclass(frozen=True, slots=True)
class Allowance:
    """The time that all texts of a check share."""

    until: float
    """By `time.monotonic`."""
    ahead: bool = False
    """Nobody waits: everything is read, also where a block is already certain, so that it can be remembered."""
    each: bool = False
    """Each text is judged by itself: a block of one settles nothing about the others."""
    _ended: Event = field(default_factory=Event)

    @classmethod
    def of(cls, seconds: float, *, each: bool = False) -> Self:
        """So long from now on."""
        return cls(time.monotonic() + seconds, each=each)

    @classmethod
    def endless(cls) -> Self:
        """Where nobody waits."""
        return cls(math.inf, ahead=True, each=True)

    @property
    def left(self) -> float:
        """Seconds."""
        return 0.0 if self._ended.is_set() else self.until - time.monotonic()

    def end(self) -> None:
        """Nobody wants to know any more."""
        self._ended.set()


class Pace:
    """How long a window takes, by those that were read. Thread-safe: one number, written whole."""

    #: Share of the newest measurement.
    _WEIGHT = 0.2

    def __init__(self) -> None:
        self._seconds = 0.0

    def fitting(self, left: float, most: int) -> int:
        """How many windows can be read in the seconds that are left, `most` at most. None only where no time is left:
        one slow window in the past must not end all reading."""
        if left <= 0:
            return 0
        if not self._seconds:
            return 1
        return max(1, min(most, int(min(left / self._seconds, most))))

    def note(self, seconds: float, windows: int) -> None:
        """Takes down how long some windows took."""
        each = seconds / windows
        self._seconds = each if not self._seconds else self._seconds + self._WEIGHT * (each - self._seconds)
