"""The time a call has left, carried from the server's side to every call it makes in turn."""

import contextvars
import time
from collections.abc import Iterator
from contextlib import contextmanager

#: Monotonic time at which the current work must be over; None where nothing limits it.
_deadline: contextvars.ContextVar[float | None] = contextvars.ContextVar("deadline", default=None)


def remaining() -> float | None:
    """Seconds left, never negative; None where nothing limits the current work."""
    deadline = _deadline.get()
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def cap(timeout: float | None) -> float | None:
    """The smaller of `timeout` and what is left."""
    left = remaining()
    if left is None:
        return timeout
    return left if timeout is None else min(timeout, left)


@contextmanager
def limit(seconds: float | None) -> Iterator[None]:
    """Within the block no more than `seconds` are left; an outer limit that is nearer stays."""
    capped = cap(seconds)
    token = _deadline.set(None if capped is None else time.monotonic() + capped)
    try:
        yield
    finally:
        _deadline.reset(token)


def start(seconds: float | None) -> None:
    """Sets the limit for the rest of this context: a server's call, whose task ends with it."""
    _deadline.set(None if seconds is None else time.monotonic() + seconds)
