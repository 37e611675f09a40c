"""Both kinds of journal behind one face, for tests that hold them to one contract."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sluice_gateway.audit import audit
from sluice_gateway.domain.run import Event, EventKind, RunState, StepState
from sluice_gateway.journal.places import CHECKPOINTS
from sluice_gateway.journal.postgres import PostgresJournal
from sluice_gateway.journal.postgres.retention import PostgresRetention
from sluice_gateway.journal.selection import Source
from sluice_gateway.journal.sources import open_source
from sluice_gateway.journal.sqlite import DATABASE, SqliteJournal
from sluice_gateway.journal.sqlite.retention import SqliteRetention
from sluice_gateway.journal.verifying import AuditReport

AnyJournal = PostgresJournal | SqliteJournal

BOTH = ("sqlite", pytest.param("postgres", marks=pytest.mark.needs("postgres")))

#: Seconds, short enough to wait for.
LEASE, BEAT = 1.0, 0.2


def events_of(run_id: str, tenant: str = "acme", at: float | None = None, detail: str = "") -> list[Event]:
    """A run of one step."""
    start = Event(
        run_id,
        tenant,
        EventKind.RUN_STARTED,
        time.time() if at is None else at,
        pipeline="default",
        state=RunState.RUNNING,
        detail=detail,
    )
    step = replace(
        start, kind=EventKind.STEP_STARTED, step="retrieve", attempt=1, state=StepState.RUNNING, detail=""
    )
    return [
        start,
        step,
        replace(step, kind=EventKind.STEP_ENDED, state=StepState.SUCCEEDED, detail='{"passages":5}'),
        replace(start, kind=EventKind.RUN_ENDED, state=RunState.ANSWERED, detail=""),
    ]


@dataclass
class SqliteJournals:
    """Journals of one folder."""

    folder: Path
    url: str = ""
    changes = "changes"
    stubs = "stubs"

    def open(self, instance: str = "a", **options: Any) -> AnyJournal:
        """A new writer."""
        return SqliteJournal(self.folder, instance, **options)

    def kill(self, journal: AnyJournal) -> None:
        """As the kernel does when the process dies."""
        assert isinstance(journal, SqliteJournal)
        journal._lock.close()

    def cut(self, keys: Any, days: int, now: float) -> None:
        """What retention does."""
        SqliteRetention(self.folder / DATABASE, keys, days, lambda: now).cut()

    def execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """By an attacker."""
        connection = sqlite3.connect(self.folder / DATABASE)
        try:
            with connection:
                return connection.execute(statement.replace("%s", "?"), values).fetchall()
        finally:
            connection.close()

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """Nobody can commit meanwhile."""
        blocker = sqlite3.connect(self.folder / DATABASE, isolation_level=None)
        blocker.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            blocker.execute("ROLLBACK")
            blocker.close()

    def destroy(self) -> None:
        """Removes all rows."""
        for file in self.folder.glob(f"{DATABASE}*"):
            file.unlink()

    def audit(self) -> AuditReport:
        """What `sluice audit verify` finds."""
        return audit(self.folder, url=self.url)

    def source(self) -> Source:
        """What an export reads."""
        return open_source(self.folder, self.url)

    @property
    def checkpoints(self) -> Path:
        """The folder of exported checkpoints."""
        return self.folder / CHECKPOINTS


@dataclass
class PostgresJournals(SqliteJournals):
    """Journals of one database and one folder."""

    changes = "journal_changes"
    stubs = "journal_stubs"

    def open(self, instance: str = "a", **options: Any) -> AnyJournal:
        """A new writer."""
        return PostgresJournal(self.url, self.folder, instance, **{"lease": LEASE, "beat": BEAT, **options})

    def kill(self, journal: AnyJournal) -> None:
        """Its heart stops."""
        assert isinstance(journal, PostgresJournal)
        journal._keeper._beating.stop()

    def cut(self, keys: Any, days: int, now: float) -> None:
        """What retention does."""
        PostgresRetention(self.url, keys, days, lambda: now).cut()

    def execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """By an attacker."""
        with psycopg.connect(self.url) as connection:
            cursor = connection.execute(statement, values)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """Nobody can commit meanwhile."""
        with psycopg.connect(self.url) as blocker:
            blocker.execute("LOCK TABLE journal IN ACCESS EXCLUSIVE MODE")
            yield

    def destroy(self) -> None:
        """Removes all rows."""
        self.execute("DELETE FROM journal")


def journals(kind: str, folder: Path, request: pytest.FixtureRequest) -> SqliteJournals:
    """Those of a kind; PostgreSQL is started for the first that asks."""
    if kind == "sqlite":
        return SqliteJournals(folder)
    return PostgresJournals(folder, request.getfixturevalue("postgres_schema"))
