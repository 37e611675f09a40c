"""Times as filters and metadata write them: RFC 3339, or a date alone."""

import re
from datetime import UTC, date, datetime

#: `fromisoformat` also reads weeks, ordinal days and forms without hyphens, which the engines do not.
_FORM = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)?)?", re.ASCII)


def parse(text: str) -> date | datetime:
    """A `datetime` in UTC (a time without an offset is taken for UTC), or a `date` where the text is one alone.

    Raises:
        ValueError: it is neither.
    """
    if not _FORM.fullmatch(text):
        raise ValueError(f"{text[:64]!r} is neither RFC 3339 nor a date")
    if len(text) == len("2024-03-01"):
        return date.fromisoformat(text)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} lies outside the years 1 to 9999 in UTC") from error


def midnight(day: date) -> datetime:
    """The first moment of a day, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
