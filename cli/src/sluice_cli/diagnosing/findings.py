"""What a check says."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a check ends."""

    OK = "ok"
    WARNING = "warning"
    """Sluice runs, but not as well or as safely as it could."""
    FAILED = "failed"
    """Sluice cannot start, or does not work."""
    SKIPPED = "skipped"
    """Not looked at; the detail says why."""


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    check: str
    state: State
    detail: str
    remedy: str = ""
    """What to do, in one line; never empty for `warning` and `failed`."""


@dataclass(frozen=True)
class Check:
    """Something to look at. Several findings may come of it. Making one looks at nothing, so that nothing can break."""

    group: str
    name: str
    look: Callable[[], Iterable[Finding]]


@dataclass(frozen=True)
class Entry:
    """A finding in its group."""

    group: str
    finding: Finding


def ok(check: str, detail: str) -> Finding:
    """It is as it should be."""
    return Finding(check, State.OK, detail)


def warning(check: str, detail: str, remedy: str) -> Finding:
    """It could be better."""
    return Finding(check, State.WARNING, detail, remedy)


def failed(check: str, detail: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(check, State.FAILED, detail, remedy)


def skipped(check: str, detail: str, remedy: str = "") -> Finding:
    """It was not looked at."""
    return Finding(check, State.SKIPPED, detail, remedy)
