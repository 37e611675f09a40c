"""The journal, in SQLite and in PostgreSQL: what it keeps, what survives a death, what an audit finds."""

import asyncio
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock, patch

import pytest

from sluice_gateway.audit import audit
from sluice_gateway.domain.run import RunRecord, RunState, StepState
from sluice_gateway.gateway import new_run_id
from sluice_gateway.journal import checkpoints, keys, stubs
from sluice_gateway.journal.chain import Head, Keys, Row, row_hash
from sluice_gateway.journal.places import KEY
from sluice_gateway.journal.stubs import Stub
from sluice_gateway.journal.verifying import Fault
from sluice_servicekit.errors import FailedPrecondition, ResourceExhausted
from support.journals import BOTH, AnyJournal, SqliteJournals, events_of, journals

DAY = 86400.0


@pytest.fixture(params=BOTH)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteJournals:
    return journals(request.param, tmp_path / "gateway", request)


async def _written(store: SqliteJournals, runs: int = 3, at: Sequence[float] = ()) -> list[str]:
    """So many runs, or one at each time, by one writer."""
    times = at or [time.time()] * runs
    with patch("sluice_gateway.journal.opening.time", Mock(time=lambda: times[0])):
        journal = store.open()
    ids = [new_run_id() for _ in times]
    for run_id, started in zip(ids, times, strict=True):
        for event in events_of(run_id, at=started):
            journal.append(event)
    await journal.commit()
    journal.close()
    return ids


async def _ended(journal: AnyJournal, run_id: str) -> RunRecord:
    async with asyncio.timeout(30):
        while True:
            record = await journal.run(run_id)
            assert record is not None
            if record.state is not RunState.RUNNING:
                return record
            await asyncio.sleep(0.05)


async def test_a_run_is_read_back_as_it_was_written(store: SqliteJournals):
    ids = await _written(store)
    journal = store.open()
    try:
        record = await journal.run(ids[0])
        assert record is not None
        assert (record.state, record.tenant, record.pipeline) == (RunState.ANSWERED, "acme", "default")
        assert [(step.name, step.state) for step in record.steps] == [("retrieve", StepState.SUCCEEDED)]
        assert record.steps[0].detail == '{"passages":5}'
        assert await journal.run(new_run_id()) is None
    finally:
        journal.close()


async def test_runs_are_listed_newest_first_page_by_page_and_by_tenant(store: SqliteJournals):
    ids = await _written(store, 5)
    journal = store.open()
    try:
        first = await journal.runs("acme", 3, None)
        assert [run.run_id for run in first] == ids[:1:-1]
        assert {run.state for run in first} == {RunState.ANSWERED}
        rest = await journal.runs("acme", 3, first[-1].run_id)
        assert [run.run_id for run in rest] == ids[1::-1]
        assert await journal.runs("other", 3, None) == []
    finally:
        journal.close()


async def test_text_that_no_database_holds_holds_up_nobody(store: SqliteJournals):
    journal = store.open()
    try:
        run_id = new_run_id()
        for event in events_of(run_id):
            journal.append(replace(event, reason="nul \0, half a pair \ud800, ünïcode\n\t\\N"))
        await journal.commit()
        record = await journal.run(run_id)
        assert record is not None
        assert record.reason == "nul \ufffd, half a pair ?, ünïcode\n\t\\N"
    finally:
        journal.close()
    assert store.audit().passed


async def test_the_express_runs_of_a_dead_writer_are_ended_and_durable_ones_are_not(store: SqliteJournals):
    journal = store.open("a")
    interrupted, durable, done = new_run_id(), new_run_id(), new_run_id()
    for event in (
        *events_of(interrupted)[:2],
        *events_of(durable, detail='{"executor":"standard"}')[:2],
        *events_of(done),
    ):
        journal.append(event)
    await journal.commit()
    store.kill(journal)
    successors = [store.open(name) for name in ("b", "c")]
    try:
        for successor in successors:
            await successor.commit()
        record = await _ended(successors[1], interrupted)
        assert (record.state, record.reason) == (RunState.FAILED, "GATEWAY_RESTARTED")
        assert [(step.state, step.reason) for step in record.steps] == [
            (StepState.FAILED, "GATEWAY_RESTARTED")
        ]
        whole = await successors[0].run(done)
        assert whole is not None
        assert whole.state is RunState.ANSWERED
        goes_on = await successors[0].run(durable)
        assert goes_on is not None
        assert goes_on.state is RunState.RUNNING
        assert len(await successors[0].events(interrupted)) == 4, "ended once"
    finally:
        for successor in successors:
            successor.close()
        journal.close()
    assert store.audit().passed


async def test_a_living_writers_runs_are_left_alone(store: SqliteJournals):
    first = store.open("a")
    run_id = new_run_id()
    first.append(events_of(run_id)[0])
    await first.commit()
    second = store.open("b")
    try:
        await second.commit()
        record = await second.run(run_id)
        assert record is not None
        assert record.state is RunState.RUNNING
    finally:
        second.close()
        first.close()


async def test_a_full_queue_refuses(store: SqliteJournals):
    journal = store.open(capacity=1024)
    event = events_of(new_run_id())[0]

    def flood() -> None:
        for _ in range(8192):
            journal.append(event)

    with store.blocked(), pytest.raises(ResourceExhausted) as raised:
        flood()
    assert raised.value.reason == "JOURNAL_FULL"
    journal.close()


async def test_caller_who_leaves_while_the_journal_commits_harms_nobody(store: SqliteJournals):
    journal = store.open()
    with store.blocked():
        journal.append(events_of(new_run_id())[0])
        leaving = asyncio.create_task(journal.commit())
        await asyncio.sleep(0.05)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
    run_id = new_run_id()
    journal.append(events_of(run_id)[0])
    async with asyncio.timeout(5):
        await journal.commit()
    assert await journal.run(run_id) is not None
    journal.close()


async def test_key_that_others_may_read_is_refused(store: SqliteJournals):
    await _written(store)
    (store.folder / KEY).chmod(0o644)
    with pytest.raises(FailedPrecondition, match="chmod 600"):
        store.open()


async def test_what_was_written_passes(store: SqliteJournals):
    for _ in range(3):
        await _written(store)
    report = store.audit()
    assert report.passed
    assert (report.rows, report.writers) == (3 * (1 + 3 * 4), 3)


def _sql(statement: str) -> Callable[[SqliteJournals], None]:
    def change(store: SqliteJournals) -> None:
        before = store.execute("SELECT * FROM journal ORDER BY writer, seq")
        store.execute(statement)
        assert store.execute("SELECT * FROM journal ORDER BY writer, seq") != before

    return change


def _edit_and_recompute(store: SqliteJournals) -> None:
    """What a thief of the database would do: change a row and make every later hash fit, without the key."""
    guessed = Keys.derived(b"guessed" * 8)
    columns = ", ".join(Row._fields)
    (writer,) = store.execute("SELECT writer FROM journal LIMIT 1")[0]
    rows = [
        Row(*values)
        for values in store.execute(f"SELECT {columns} FROM journal WHERE writer = %s ORDER BY seq", writer)
    ]
    previous = rows[1].previous_hash
    for row in rows[1:]:
        changed = row._replace(previous_hash=previous, decision="allow" if row.seq == 3 else row.decision)
        changed = changed._replace(hash=row_hash(guessed.rows, changed))
        store.execute(
            "UPDATE journal SET decision = %s, previous_hash = %s, hash = %s WHERE writer = %s AND seq = %s",
            changed.decision,
            changed.previous_hash,
            changed.hash,
            writer,
            row.seq,
        )
        previous = changed.hash


def _oldest(store: SqliteJournals) -> str:
    return str(store.execute("SELECT writer FROM journal ORDER BY at LIMIT 1")[0][0])


def _whole_writer(store: SqliteJournals) -> None:
    store.execute("DELETE FROM journal WHERE writer = %s", _oldest(store))


def _whole_writer_and_its_checkpoint(store: SqliteJournals) -> None:
    writer = _oldest(store)
    store.execute("DELETE FROM journal WHERE writer = %s", writer)
    if store.url:
        store.execute("DELETE FROM journal_checkpoints WHERE writer = %s", writer)
    (store.checkpoints / f"{writer}.json").unlink()


def _forged_checkpoint(store: SqliteJournals) -> None:
    file = next(store.checkpoints.glob("*.json"))
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "seq": content["seq"] - 1}))


def _no_checkpoints(store: SqliteJournals) -> None:
    shutil.rmtree(store.checkpoints)
    if store.url:
        store.execute("DELETE FROM journal_checkpoints")


def _start_without_a_stub(store: SqliteJournals) -> None:
    store.execute("DELETE FROM journal WHERE writer = %s AND seq <= 3", _oldest(store))


def _start_with_a_forged_stub(store: SqliteJournals) -> None:
    writer = _oldest(store)
    (hash_,) = store.execute("SELECT hash FROM journal WHERE writer = %s AND seq = 3", writer)[0]
    stub = stubs.encoded(
        Keys.derived(b"guessed" * 8).stubs, Stub(writer, Head(3, hash_), "2026-01-01", time.time())
    )
    store.execute(f"INSERT INTO {store.stubs} (writer, stub) VALUES (%s, %s)", writer, stub)
    _start_without_a_stub(store)


_LAST = "(SELECT MAX(seq) FROM journal AS j WHERE j.writer = journal.writer)"


@pytest.mark.parametrize(
    ("tamper", "fault"),
    [
        (_sql("UPDATE journal SET decision = 'allow' WHERE seq = 3"), Fault.EDITED_ROW),
        (_sql("UPDATE journal SET at = at - 60 WHERE seq = 3"), Fault.EDITED_ROW),
        (_sql("UPDATE journal SET hash = 'ü' WHERE seq = 3"), Fault.EDITED_ROW),
        (_edit_and_recompute, Fault.EDITED_ROW),
        (_sql("DELETE FROM journal WHERE seq = 3"), Fault.MISSING_ROWS),
        (_sql(f"DELETE FROM journal WHERE seq = {_LAST}"), Fault.DELETED_TAIL),
        (_whole_writer, Fault.MISSING_WRITER),
        (_whole_writer_and_its_checkpoint, Fault.MISSING_WRITER),
        (_forged_checkpoint, Fault.FORGED_CHECKPOINT),
        (_no_checkpoints, Fault.MISSING_CHECKPOINT),
        (lambda store: store.destroy(), Fault.MISSING_WRITER),
        (_sql("UPDATE journal SET seq = seq + 100 WHERE seq = 5"), Fault.MISSING_ROWS),
        (_start_without_a_stub, Fault.MISSING_ROWS),
        (_start_with_a_forged_stub, Fault.FORGED_STUB),
    ],
)
async def test_audit_finds_tampering(
    store: SqliteJournals, tamper: Callable[[SqliteJournals], None], fault: Fault
):
    await _written(store)
    await _written(store)
    assert store.audit().passed
    tamper(store)
    report = store.audit()
    assert not report.passed
    assert fault in {finding.fault for finding in report.findings}
    assert all(finding.message for finding in report.findings)


async def test_retention_cuts_whole_days_and_leaves_a_stub(store: SqliteJournals):
    now = time.time()
    before = now - now % DAY - 1  # the last second of yesterday
    gone = await _written(store, at=[before - 3 * DAY] * 3)
    old, *kept = await _written(store, at=[before - 2 * DAY, before, before])
    secret = keys.load(store.folder / KEY)
    rows = store.audit().rows

    store.cut(secret, 1, now)

    report = store.audit()
    assert report.passed
    assert (report.rows, report.cut) == (rows - 13 - 5, 13 + 5)
    journal = store.open()
    try:
        assert await journal.run(gone[0]) is None
        assert await journal.run(old) is None
        record = await journal.run(kept[0])
        assert record is not None
        assert record.state is RunState.ANSWERED
        assert [run.run_id for run in await journal.runs("acme", 9, None)] == kept[::-1]
    finally:
        journal.close()
    assert store.audit().passed
    store.execute(f"DELETE FROM {store.stubs}")
    found = {finding.fault for finding in store.audit().findings}
    assert found == {Fault.MISSING_WRITER, Fault.MISSING_ROWS}


async def test_a_cut_that_was_broken_off_passes_and_is_finished(store: SqliteJournals):
    now = time.time()
    await _written(store, at=[now - 5 * DAY] * 3)
    await _written(store)
    secret = keys.load(store.folder / KEY)
    writer = _oldest(store)
    (hash_,) = store.execute("SELECT hash FROM journal WHERE writer = %s AND seq = 13", writer)[0]
    stub = stubs.encoded(secret.stubs, Stub(writer, Head(13, hash_), "2026-01-01", now))
    store.execute(f"INSERT INTO {store.stubs} (writer, stub) VALUES (%s, %s)", writer, stub)
    store.execute("DELETE FROM journal WHERE writer = %s AND seq <= 5", writer)
    assert store.audit().passed
    store.cut(secret, 1, now)
    report = store.audit()
    assert report.passed
    assert report.writers == 1
    store.execute("UPDATE journal SET decision = 'allow' WHERE seq = 3")
    assert not store.audit().passed


async def test_retention_signs_for_nothing_that_is_not_old(store: SqliteJournals):
    """Whoever can write the database but has no key must not get rows cut by making them look old."""
    now = time.time()
    await _written(store, at=[now - 5 * DAY])
    await _written(store)
    secret = keys.load(store.folder / KEY)
    if store.url:
        store.execute("UPDATE journal SET day = (SELECT MIN(day) FROM journal)")
    else:
        store.execute("UPDATE journal SET at = at - 864000")
    rows = store.execute("SELECT COUNT(*) FROM journal")
    with pytest.raises(FailedPrecondition, match="sluice audit verify"):
        store.cut(secret, 1, now)
    assert store.execute("SELECT COUNT(*) FROM journal") == rows


async def test_audit_of_no_journal_says_so(tmp_path: Path):
    with pytest.raises(FailedPrecondition, match="there is no journal"):
        audit(tmp_path)


async def test_checkpoints_are_read_only_with_their_key(store: SqliteJournals):
    await _written(store)
    known, forged = checkpoints.read_all(store.checkpoints, Keys.derived(b"x" * 32).checkpoints)
    assert not known
    assert len(forged) == 1
