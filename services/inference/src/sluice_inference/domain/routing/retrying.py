"""Whether a request that failed is sent to another replica, and what its failing says of this one. Pure."""

from enum import StrEnum


class Failure(StrEnum):
    """What became of a request at a replica."""

    LOST = "lost"
    """The connection could not be made, or broke."""
    FAILED = "failed"
    """The replica has answered that it cannot."""
    BUSY = "busy"
    """It has too much to do."""
    UNKNOWN_MODEL = "unknown_model"
    """It does not serve that model, or not yet."""
    REFUSED = "refused"
    """The request is wrong, its time is over, or no replica would take it."""


_REASONS = {
    "UPSTREAM_UNREACHABLE": Failure.LOST,
    "UPSTREAM_TRUNCATED": Failure.LOST,
    "UPSTREAM_FAILED": Failure.FAILED,
    "UPSTREAM_BUSY": Failure.BUSY,
    "UPSTREAM_MODEL_NOT_FOUND": Failure.UNKNOWN_MODEL,
}


def failure(reason: str) -> Failure:
    """By the reason of the error."""
    return _REASONS.get(reason, Failure.REFUSED)


class RetryBudget:
    """How many requests may be sent again: a part of all, and a few at once.

    Retries of what an overloaded server refuses would be more load where there is too much already (the retry budget of
    Finagle and Envoy). What a lost replica was doing is no such load: it is sent again without asking here.
    """

    def __init__(self, part: float = 0.2, most: float = 20.0) -> None:
        self._part = part
        self._most = most
        self._left = most

    def earn(self) -> None:
        """A request has come."""
        self._left = min(self._most, self._left + self._part)

    def spend(self) -> bool:
        """True where one may be sent again."""
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
