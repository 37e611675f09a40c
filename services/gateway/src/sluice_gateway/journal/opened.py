"""The journal that the settings name."""

from pathlib import Path

from sluice_gateway.journal.postgres import PostgresJournal
from sluice_gateway.journal.sqlite import SqliteJournal


def open_journal(
    url: str,
    data_dir: Path,
    instance: str,
    *,
    key_file: Path | None,
    synchronous: str,
    capacity: int,
    retention_days: int,
) -> PostgresJournal | SqliteJournal:
    """A journal in PostgreSQL where there is a URL, else in SQLite in the data folder."""
    if url:
        return PostgresJournal(
            url, data_dir, instance, key_file=key_file, capacity=capacity, retention_days=retention_days
        )
    return SqliteJournal(
        data_dir,
        instance,
        key_file=key_file,
        synchronous=synchronous,
        capacity=capacity,
        retention_days=retention_days,
    )
