"""The journal on disk: what it keeps, what survives a death, what an audit finds."""

import asyncio
import json
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sluice_gateway.audit import audit
from sluice_gateway.domain.run import Event, EventKind, RunState, StepState
from sluice_gateway.gateway import new_run_id
from sluice_gateway.journal import checkpoints, schema
from sluice_gateway.journal.chain import Keys, row_hash
from sluice_gateway.journal.sqlite import CHECKPOINTS, DATABASE, KEY, SqliteJournal
from sluice_gateway.journal.verifying import Fault
from sluice_servicekit.errors import FailedPrecondition, ResourceExhausted


def _events(run_id: str, tenant: str = "acme") -> list[Event]:
    start = Event(
        run_id, tenant, EventKind.RUN_STARTED, time.time(), pipeline="default", state=RunState.RUNNING
    )
    step = replace(start, kind=EventKind.STEP_STARTED, step="retrieve", attempt=1, state=StepState.RUNNING)
    return [
        start,
        step,
        replace(step, kind=EventKind.STEP_ENDED, state=StepState.SUCCEEDED, detail='{"passages":5}'),
        replace(start, kind=EventKind.RUN_ENDED, state=RunState.ANSWERED),
    ]


async def _written(folder: Path, runs: int = 3) -> list[str]:
    journal = SqliteJournal(folder, "a")
    ids = [new_run_id() for _ in range(runs)]
    for run_id in ids:
        for event in _events(run_id):
            journal.append(event)
    await journal.commit()
    journal.close()
    return ids


async def test_a_run_is_read_back_as_it_was_written(tmp_path: Path):
    ids = await _written(tmp_path)
    journal = SqliteJournal(tmp_path, "a")
    try:
        record = await journal.run(ids[0])
        assert record is not None
        assert (record.state, record.tenant, record.pipeline) == (RunState.ANSWERED, "acme", "default")
        assert [(step.name, step.state) for step in record.steps] == [("retrieve", StepState.SUCCEEDED)]
        assert record.steps[0].detail == '{"passages":5}'
        assert await journal.run(new_run_id()) is None
    finally:
        journal.close()


async def test_runs_are_listed_newest_first_page_by_page_and_by_tenant(tmp_path: Path):
    ids = await _written(tmp_path, 5)
    journal = SqliteJournal(tmp_path, "a")
    try:
        first = await journal.runs("acme", 3, None)
        assert [run.run_id for run in first] == ids[:1:-1]
        rest = await journal.runs("acme", 3, first[-1].run_id)
        assert [run.run_id for run in rest] == ids[1::-1]
        assert await journal.runs("other", 3, None) == []
    finally:
        journal.close()


async def test_a_new_writer_ends_the_runs_of_a_dead_one(tmp_path: Path):
    journal = SqliteJournal(tmp_path, "a")
    open_run, done = new_run_id(), new_run_id()
    for event in (*_events(open_run)[:2], *_events(done)):
        journal.append(event)
    await journal.commit()
    journal._lock.close()  # as the kernel does when the process dies
    successor = SqliteJournal(tmp_path, "b")
    try:
        await successor.commit()
        record = await successor.run(open_run)
        assert record is not None
        assert (record.state, record.reason) == (RunState.FAILED, "GATEWAY_RESTARTED")
        assert [(step.state, step.reason) for step in record.steps] == [
            (StepState.FAILED, "GATEWAY_RESTARTED")
        ]
        whole = await successor.run(done)
        assert whole is not None
        assert whole.state is RunState.ANSWERED
    finally:
        successor.close()
        journal.close()
    assert audit(tmp_path).passed


async def test_a_living_writers_runs_are_left_alone(tmp_path: Path):
    first = SqliteJournal(tmp_path, "a")
    run_id = new_run_id()
    first.append(_events(run_id)[0])
    await first.commit()
    second = SqliteJournal(tmp_path, "b")
    try:
        await second.commit()
        record = await second.run(run_id)
        assert record is not None
        assert record.state is RunState.RUNNING
    finally:
        second.close()
        first.close()


async def test_a_full_queue_refuses(tmp_path: Path):
    journal = SqliteJournal(tmp_path, "a", capacity=1024)
    blocker = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    try:
        blocker.execute("BEGIN EXCLUSIVE")  # the writer's commit waits for this
        event = _events(new_run_id())[0]

        def flood() -> None:
            for _ in range(4096):
                journal.append(event)

        with pytest.raises(ResourceExhausted) as raised:
            flood()
        assert raised.value.reason == "JOURNAL_FULL"
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()
        journal.close()


async def test_caller_who_leaves_while_the_journal_commits_harms_nobody(tmp_path: Path):
    journal = SqliteJournal(tmp_path, "a")
    blocker = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")  # the writer's commit waits for this
    journal.append(_events(new_run_id())[0])
    leaving = asyncio.create_task(journal.commit())
    await asyncio.sleep(0.05)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    blocker.execute("ROLLBACK")
    blocker.close()
    run_id = new_run_id()
    journal.append(_events(run_id)[0])
    async with asyncio.timeout(5):
        await journal.commit()
    assert await journal.run(run_id) is not None
    journal.close()


async def test_key_that_others_may_read_is_refused(tmp_path: Path):
    await _written(tmp_path)
    (tmp_path / KEY).chmod(0o644)
    with pytest.raises(FailedPrecondition, match="chmod 600"):
        SqliteJournal(tmp_path, "a")


async def test_what_was_written_passes(tmp_path: Path):
    for _ in range(3):
        await _written(tmp_path)
    report = audit(tmp_path)
    assert report.passed
    assert (report.rows, report.writers) == (3 * (1 + 3 * 4), 3)


def _sql(statement: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with sqlite3.connect(folder / DATABASE) as connection:
            assert connection.execute(statement).rowcount > 0
        connection.close()

    return change


def _edit_and_recompute(folder: Path) -> None:
    """What a thief of the database would do: change a row and make every later hash fit, without the key."""
    keys = Keys.derived(b"guessed" * 8)
    connection = sqlite3.connect(folder / DATABASE)
    writer = connection.execute("SELECT writer FROM journal LIMIT 1").fetchone()[0]
    rows = list(schema.rows(connection, "writer = ? ORDER BY seq", writer))
    previous = rows[1].previous_hash
    for row in rows[1:]:
        changed = replace(row, previous_hash=previous, decision="allow" if row.seq == 3 else row.decision)
        changed = replace(changed, hash=row_hash(keys.rows, changed))
        connection.execute(
            "UPDATE journal SET decision = ?, previous_hash = ?, hash = ? WHERE writer = ? AND seq = ?",
            (changed.decision, changed.previous_hash, changed.hash, writer, row.seq),
        )
        previous = changed.hash
    connection.commit()
    connection.close()


def _whole_writer(folder: Path) -> None:
    _sql("DELETE FROM journal WHERE writer = (SELECT writer FROM journal ORDER BY at LIMIT 1)")(folder)


def _whole_writer_and_its_checkpoint(folder: Path) -> None:
    with sqlite3.connect(folder / DATABASE) as connection:
        writer = connection.execute("SELECT writer FROM journal ORDER BY at LIMIT 1").fetchone()[0]
        connection.execute("DELETE FROM journal WHERE writer = ?", (writer,))
    connection.close()
    (folder / CHECKPOINTS / f"{writer}.json").unlink()


def _forged_checkpoint(folder: Path) -> None:
    file = next((folder / CHECKPOINTS).glob("*.json"))
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "seq": content["seq"] - 1}))


def _no_database(folder: Path) -> None:
    for file in folder.glob(f"{DATABASE}*"):
        file.unlink()


_LAST = "(SELECT MAX(seq) FROM journal AS j WHERE j.writer = journal.writer)"


@pytest.mark.parametrize(
    ("tamper", "fault"),
    [
        (_sql("UPDATE journal SET decision = 'allow' WHERE seq = 3"), Fault.EDITED_ROW),
        (_sql("UPDATE journal SET at = at - 60 WHERE seq = 3"), Fault.EDITED_ROW),
        (_edit_and_recompute, Fault.EDITED_ROW),
        (_sql("DELETE FROM journal WHERE seq = 3"), Fault.MISSING_ROWS),
        (_sql(f"DELETE FROM journal WHERE seq = {_LAST}"), Fault.DELETED_TAIL),
        (_whole_writer, Fault.MISSING_WRITER),
        (_whole_writer_and_its_checkpoint, Fault.MISSING_WRITER),
        (_forged_checkpoint, Fault.FORGED_CHECKPOINT),
        (lambda folder: shutil.rmtree(folder / CHECKPOINTS), Fault.MISSING_CHECKPOINT),
        (_no_database, Fault.MISSING_WRITER),
        (_sql("UPDATE journal SET seq = seq + 100 WHERE seq = 5"), Fault.MISSING_ROWS),
    ],
)
async def test_audit_finds_tampering(tmp_path: Path, tamper: Callable[[Path], None], fault: Fault):
    await _written(tmp_path)
    await _written(tmp_path)
    assert audit(tmp_path).passed
    tamper(tmp_path)
    report = audit(tmp_path)
    assert not report.passed
    assert fault in {finding.fault for finding in report.findings}
    assert all(finding.message for finding in report.findings)


async def test_audit_of_no_journal_says_so(tmp_path: Path):
    with pytest.raises(FailedPrecondition, match="there is no journal"):
        audit(tmp_path)


async def test_checkpoints_are_read_only_with_their_key(tmp_path: Path):
    await _written(tmp_path)
    known, forged = checkpoints.read_all(tmp_path / CHECKPOINTS, Keys.derived(b"x" * 32).checkpoints)
    assert not known
    assert len(forged) == 1
