"""Runs as they start and end: every follower gets each change once, in order, wherever it resumes."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from sluice_gateway.domain.run import ENDED, ChangesOf, Event, EventKind, RunChange, RunState
from sluice_gateway.following import _MAX_FOLLOWERS, Following
from sluice_gateway.gateway import new_run_id
from sluice_gateway.journal.sqlite import DATABASE, SqliteJournal
from sluice_servicekit.errors import ResourceExhausted
from support.journals import BOTH, AnyJournal, SqliteJournals, journals

ACME = ChangesOf("acme")
ALL = ChangesOf("acme", tuple(RunState))


@pytest.fixture(params=BOTH)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteJournals:
    return journals(request.param, tmp_path, request)


@pytest.fixture
async def journal(store: SqliteJournals) -> AsyncIterator[AnyJournal]:
    journal = store.open("a")
    yield journal
    journal.close()


def _started(run_id: str, tenant: str = "acme", pipeline: str = "default") -> Event:
    return Event(
        run_id, tenant, EventKind.RUN_STARTED, time.time(), pipeline=pipeline, state=RunState.RUNNING
    )


def _ended(start: Event, state: RunState = RunState.ANSWERED) -> Event:
    return replace(start, kind=EventKind.RUN_ENDED, at=start.at + 1, state=state)


async def _write(journal: AnyJournal, *events: Event) -> None:
    for event in events:
        journal.append(event)
    await journal.commit()


async def _run(journal: AnyJournal, state: RunState = RunState.ANSWERED, **options: str) -> str:
    start = _started(new_run_id(), **options)
    await _write(journal, start, _ended(start, state))
    return start.run_id


async def _next(events: AsyncGenerator[RunChange | int, None], count: int) -> list[RunChange]:
    found: list[RunChange] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            event = await anext(events)
            if isinstance(event, RunChange):
                found.append(event)
    return found


def _ids(changes: list[RunChange]) -> list[str]:
    return [change.record.run_id for change in changes]


async def test_a_run_that_ends_late_is_not_missed(journal: AnyJournal):
    early = _started(new_run_id())
    await _write(journal, early)
    async with aclosing(Following(journal).changes(ACME, None, 0)) as events:
        assert isinstance(await anext(events), int)
        quick = await _run(journal)
        assert _ids(await _next(events, 1)) == [quick]
        await _write(journal, _ended(early))
        late = (await _next(events, 1))[0].record
        assert (late.run_id, late.state, late.started, late.ended) == (
            early.run_id,
            RunState.ANSWERED,
            early.at,
            early.at + 1,
        )


async def test_starts_are_given_where_running_is_asked_for(journal: AnyJournal):
    run_id = await _run(journal)
    changes, _ = await journal.changes(ALL, 0)
    assert [(change.record.run_id, change.record.state) for change in changes] == [
        (run_id, RunState.RUNNING),
        (run_id, RunState.ANSWERED),
    ]
    assert changes[0].record.ended is None


async def test_only_the_tenants_own_of_the_states_and_the_model(journal: AnyJournal):
    await _run(journal, RunState.FAILED, tenant="other", pipeline="careful")
    await _run(journal, pipeline="careful")
    wanted = await _run(journal, RunState.FAILED, pipeline="careful")
    await _run(journal, RunState.FAILED)
    which = ChangesOf("acme", (RunState.FAILED, RunState.BLOCKED), "careful")
    assert _ids((await journal.changes(which, 0))[0]) == [wanted]
    assert _ids((await journal.last_changes(which, 5))[0]) == [wanted]


async def test_the_last_ones_come_first_and_then_what_follows(journal: AnyJournal):
    before = [await _run(journal) for _ in range(4)]
    async with aclosing(Following(journal).changes(ACME, None, 2)) as events:
        assert _ids(await _next(events, 2)) == before[2:]
        assert await anext(events) == await journal.position()
        after = await _run(journal)
        assert _ids(await _next(events, 1)) == [after]


async def test_resuming_gives_what_came_meanwhile_once(journal: AnyJournal, store: SqliteJournals):
    async with aclosing(Following(journal).changes(ACME, None, 0)) as events:
        start = await anext(events)
    assert isinstance(start, int)
    runs = [await _run(journal) for _ in range(3)]
    other = store.open("b")  # as after a restart: another chain
    runs += [await _run(other) for _ in range(3)]
    async with aclosing(Following(other).changes(ACME, start, 0)) as events:
        found = await _next(events, 4)
    assert _ids(found) == runs[:4]
    async with aclosing(Following(other).changes(ACME, found[-1].position, 0)) as events:
        assert _ids(await _next(events, 2)) == runs[4:]
    other.close()


async def test_many_are_given_whole_over_several_reads(journal: AnyJournal):
    starts = [_started(new_run_id()) for _ in range(1100)]
    await _write(journal, *starts, *(_ended(start) for start in starts))
    async with aclosing(Following(journal).changes(ACME, 0, 0)) as events:
        assert _ids(await _next(events, 1100)) == [start.run_id for start in starts]


async def test_a_run_ends_once_even_where_two_writers_say_so(journal: AnyJournal):
    start = _started(new_run_id())
    await _write(journal, start, _ended(start, RunState.FAILED), _ended(start, RunState.FAILED))
    assert _ids((await journal.changes(ACME, 0))[0]) == [start.run_id]


async def test_a_place_beyond_the_journal_starts_at_its_end(journal: AnyJournal):
    await _run(journal)
    async with aclosing(Following(journal).changes(ACME, 10**9, 0)) as events:
        assert await anext(events) == await journal.position()
        run_id = await _run(journal)
        assert _ids(await _next(events, 1)) == [run_id]


async def test_closing_ends_every_follower(journal: AnyJournal):
    following = Following(journal)

    async def follow() -> int:
        return len([event async for event in following.changes(ACME, None, 0)])

    followers = [asyncio.create_task(follow()) for _ in range(3)]
    await asyncio.sleep(0.4)
    following.close()
    async with asyncio.timeout(5):
        assert await asyncio.gather(*followers) == [1, 1, 1]


async def test_too_many_followers_are_refused_and_places_are_given_back(journal: AnyJournal):
    following = Following(journal)
    streams = [following.changes(ACME, None, 0) for _ in range(_MAX_FOLLOWERS)]
    await asyncio.gather(*(anext(stream) for stream in streams))
    with pytest.raises(ResourceExhausted):
        await anext(following.changes(ACME, None, 0))
    for stream in streams:
        await stream.aclose()
    async with aclosing(following.changes(ACME, None, 0)) as events:
        assert isinstance(await anext(events), int)


async def test_a_runs_own_events_come_until_its_end(journal: AnyJournal):
    start = _started(new_run_id())
    step = replace(start, kind=EventKind.STEP_STARTED, step="retrieve", attempt=1)
    await _write(journal, start, step)
    events = Following(journal).events(start.run_id, 0)
    assert [await anext(events), await anext(events)] == [(1, start), (2, step)]
    await _write(journal, _ended(start))
    async with asyncio.timeout(5):
        assert [event async for event in events] == [(3, _ended(start))]
        resumed = [number async for number, _ in Following(journal).events(start.run_id, 2)]
        over = [number async for number, _ in Following(journal).events(start.run_id, 3)]
    assert (resumed, over) == ([3], [])


async def test_a_journal_from_before_knows_its_changes(tmp_path: Path):
    journal = SqliteJournal(tmp_path, "a")
    runs = [await _run(journal) for _ in range(3)]
    journal.close()
    with sqlite3.connect(tmp_path / DATABASE) as connection:
        connection.execute("DROP TRIGGER change")
        connection.execute("DROP TABLE changes")
    connection.close()
    journal = SqliteJournal(tmp_path, "b")
    try:
        assert _ids((await journal.changes(ACME, 0))[0]) == runs
        runs.append(await _run(journal))
        assert _ids((await journal.last_changes(ACME, 9))[0]) == runs
    finally:
        journal.close()


def test_running_is_no_end():
    assert set(ENDED) == set(RunState) - {RunState.RUNNING}
