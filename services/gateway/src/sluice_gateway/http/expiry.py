"""When a document expires, as requests and replies say it."""

from google.protobuf.timestamp_pb2 import Timestamp

from sluice_api.lifetimes import expires_after


def expire_time(at: str, ttl: float | None, now: float) -> Timestamp | None:
    """The time that a request names; None where it names none.

    Args:
        at: A time as RFC 3339 writes it; empty where none is given.
        ttl: Seconds from now, in its place.
        now: Epoch seconds.

    Raises:
        ValueError: both are given, or it is no time.
    """
    if at and ttl is not None:
        raise ValueError("expire_time and ttl are both given")
    time = Timestamp()
    try:
        if at:
            time.FromJsonString(at)
            return time
        if ttl is not None:
            time.FromMilliseconds(round(expires_after(now, ttl) * 1000))
            return time
    except (ValueError, OverflowError):
        wrong = f"expire_time {at!r}" if at else "ttl"
        raise ValueError(f"{wrong} is no time such as 2027-01-31T12:00:00Z, before the year 10000") from None
    return None


def written(time: Timestamp) -> str:
    """A time as RFC 3339 writes it, in UTC."""
    return time.ToJsonString()
