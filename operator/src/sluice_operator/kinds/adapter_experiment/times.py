"""Times as statuses write them: RFC 3339 in UTC, whole seconds."""

from datetime import UTC, datetime

_HOUR = 3600


def written(seconds: float) -> str:
    """Seconds since the epoch as a status has them."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(text: str) -> float | None:
    """Seconds since the epoch; none where the text says nothing that can be read."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def hour_of(seconds: float) -> float:
    """The whole hour at or before."""
    return float(seconds // _HOUR * _HOUR)


def next_hour(seconds: float) -> float:
    """The whole hour at or after."""
    return float(-(-seconds // _HOUR) * _HOUR)
