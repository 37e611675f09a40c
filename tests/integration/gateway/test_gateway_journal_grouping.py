"""How many events the journal writes at once: a run's trickle in, and a commit costs the same for one as for all."""

import time
from pathlib import Path

import pytest

from sluice_gateway.domain.run import Event, EventKind, RunState
from sluice_gateway.gateway import new_run_id
from sluice_gateway.journal import writer
from sluice_gateway.journal.sqlite import schema
from sluice_gateway.journal.sqlite.journal import SqliteJournal

LONG = 30.0


def _event() -> Event:
    return Event(new_run_id(), "acme", EventKind.RUN_STARTED, time.time(), state=RunState.RUNNING)


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each commit had."""
    sizes: list[int] = []
    insert = schema.insert

    def counting(connection, rows):
        sizes.append(len(rows))
        insert(connection, rows)

    monkeypatch.setattr(schema, "insert", counting)
    return sizes


async def test_events_that_trickle_in_wait_for_one_another(
    tmp_path: Path, groups: list[int], monkeypatch: pytest.MonkeyPatch
):
    journal = SqliteJournal(tmp_path, "a")
    monkeypatch.setattr(writer, "_WINDOW", LONG)  # so that only the wish to commit ends it
    del groups[:]
    try:
        for _ in range(5):
            journal.append(_event())
            time.sleep(0.005)  # the writer's thread has its turn  # noqa: ASYNC251
        await journal.commit()
    finally:
        journal.close()
    assert groups == [5]


async def test_nobody_has_to_wait_for_them(tmp_path: Path, groups: list[int]):
    journal = SqliteJournal(tmp_path, "a")
    del groups[:]
    event = _event()
    journal.append(event)
    try:
        while not groups:
            time.sleep(0.005)  # noqa: ASYNC251
    finally:
        journal.close()
    assert groups == [1]


async def test_a_journal_that_closes_writes_them_at_once(
    tmp_path: Path, groups: list[int], monkeypatch: pytest.MonkeyPatch
):
    journal = SqliteJournal(tmp_path, "a")
    monkeypatch.setattr(writer, "_WINDOW", LONG)
    del groups[:]
    journal.append(_event())
    journal.close()
    assert groups == [1]
