"""Which days of the journal are kept, and what is signed where it is cut. Pure."""

from datetime import UTC, date, datetime, timedelta

from sluice_gateway.journal.chain import Head, Keys, Row, is_sealed
from sluice_gateway.journal.stubs import Stub
from sluice_servicekit.errors import FailedPrecondition

#: Seconds between two looks for days to cut.
INTERVAL = 3600.0


def first_kept(now: float, days: int) -> date:
    """The first day, in UTC, whose rows stay: today and `days` whole days before it do."""
    return datetime.fromtimestamp(now, UTC).date() - timedelta(days=days)


def start_of(day: date) -> float:
    """The day's first second."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def stub_after(last: Row, first: date, now: float, keys: Keys) -> Stub:
    """The stub that takes the place of a chain up to a row.

    Raises:
        FailedPrecondition: the row is not ours, or not from before that day. Somebody who can write the database and
            has no key would have rows cut, and that signed for.
    """
    if not is_sealed(keys.rows, last) or last.at >= start_of(first):
        raise FailedPrecondition(
            f"the journal is not cut: row {last.seq} of {last.writer} is not what was written before {first}; "
            "run: sluice audit verify",
            reason="JOURNAL_TAMPERED",
        )
    return Stub(last.writer, Head(last.seq, last.hash), first.isoformat(), now)
