"""Times in statuses: RFC 3339 on the wire, seconds since the epoch in plans."""

from datetime import UTC, datetime


def told(seconds: float) -> str:
    """In RFC 3339, to the microsecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def read(text: str | None) -> float | None:
    """Seconds since the epoch; none where there is no time."""
    return datetime.fromisoformat(text).timestamp() if text else None


def is_due(text: str | None, now: float) -> bool:
    """Whether a time has come; one that is not set has."""
    due = read(text)
    return due is None or due <= now
