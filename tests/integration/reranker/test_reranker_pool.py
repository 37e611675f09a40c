"""Worker processes: what they read for whom, and what comes of it when time is short, one dies, a caller leaves."""

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from sluice_reranker.batching.pool import Pool, Workers
from sluice_servicekit.errors import FailedPrecondition, Internal, ResourceExhausted
from support.pair_models import DEADLY, FAILING, Numbers, pairs

ONE = Workers(1)


@asynccontextmanager
async def _pool(model: Numbers, workers: Workers = ONE) -> AsyncIterator[Pool]:
    pool = await Pool.start(model, workers)
    try:
        yield pool
    finally:
        await pool.close()


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - another process writes a file
            await asyncio.sleep(0.005)


def _read(diary: Path) -> list[list[str]]:
    return [line.split()[1:] for line in diary.read_text().splitlines()] if diary.exists() else []


async def test_reads_in_processes_of_its_own_which_end_with_it(tmp_path):
    diary = tmp_path / "diary"
    async with _pool(Numbers(diary=diary), Workers(2, sorted(os.sched_getaffinity(0)))) as pool:
        assert (await pool.read(pairs("0.2", "0.9", "0.4"), None)).relevance == (0.2, 0.9, 0.4)
        assert (await pool.read([], None)).relevance == ()
        pids = pool.pids
        assert len(set(pids)) == 2
        assert os.getpid() not in pids
        assert all(len(os.sched_getaffinity(pid)) == 1 for pid in pids)
    assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.mark.parametrize("at_once", [1, 8])
async def test_requests_take_turns_and_are_read_together_where_that_is_faster(tmp_path, at_once):
    """While the worker is at the first pair, two requests come; neither waits for all of the other."""
    diary, gate = tmp_path / "diary", tmp_path / "gate"
    async with _pool(Numbers(diary=diary, gate=gate, at_once=at_once)) as pool:
        first = asyncio.create_task(pool.read(pairs("0"), None))
        await _until(lambda: len(_read(diary)) == 1)
        large = asyncio.create_task(pool.read(pairs(*(f"0.{index}" for index in range(100, 200))), None))
        small = asyncio.create_task(pool.read(pairs("0.7", "0.8"), None))
        await asyncio.sleep(0)
        gate.touch()
        assert (await small).relevance == (0.7, 0.8)
        assert (await large).relevance[:2] == (0.100, 0.101)
        await first
    passes = _read(diary)[1:]
    order = [text for texts in passes for text in texts]
    assert order.index("0.8") < 8 < order.index("0.120")
    assert len(passes[0]) == at_once


async def test_at_the_deadline_there_is_what_was_read_by_then(tmp_path):
    gate = tmp_path / "gate"
    async with _pool(Numbers(gate=gate)) as pool:
        scores = await pool.read(pairs("0.5", "0.6"), time.monotonic() + 0.05)
        assert scores.relevance == (None, None)
        assert scores.partial_reason == "deadline"
        gate.touch()
        assert (await pool.read(pairs("0.5"), None)).relevance == (0.5,)


async def test_a_deadline_cuts_off_the_last_candidates():
    async with _pool(Numbers(seconds=0.05)) as pool:
        await pool.read(pairs("0.1", "0.2"), None)  # so much for the pace
        scores = await pool.read(pairs(*["0.5"] * 100), time.monotonic() + 1.0)
        scored = [value is not None for value in scores.relevance]
        assert 1 <= sum(scored) < 100
        assert scored == sorted(scored, reverse=True)
        assert scores.partial_reason == "deadline"


async def test_a_worker_that_dies_is_replaced_and_its_request_read_again(tmp_path):
    diary = tmp_path / "diary"
    async with _pool(Numbers(diary=diary, once=tmp_path / "once")) as pool:
        [before] = pool.pids
        scores = await pool.read(pairs("0.3", DEADLY, "0.4"), None)
        assert scores.relevance == (0.3, 0.0, 0.4)
        assert scores.partial_reason == ""
        assert pool.pids != [before]


async def test_a_worker_killed_while_idle_is_no_matter():
    async with _pool(Numbers()) as pool:
        os.kill(pool.pids[0], signal.SIGKILL)
        assert (await pool.read(pairs("0.3"), None)).relevance == (0.3,)


async def test_a_passage_that_kills_every_worker_costs_only_itself():
    async with _pool(Numbers()) as pool:
        alone = asyncio.create_task(pool.read(pairs(DEADLY), None))
        scores = await pool.read(pairs("0.3", DEADLY), None)
        assert scores.relevance == (0.3, None)
        assert scores.partial_reason == "RANKER_DIED"
        with pytest.raises(Internal, match="died") as raised:
            await alone
        assert raised.value.reason == "RANKER_DIED"
        assert (await pool.read(pairs("0.5"), None)).relevance == (0.5,)


async def test_a_model_that_fails_says_so():
    async with _pool(Numbers()) as pool:
        with pytest.raises(FailedPrecondition, match="no number"):
            await pool.read(pairs(FAILING), None)
        assert (await pool.read(pairs("0.5"), None)).relevance == (0.5,)


async def test_a_model_that_cannot_be_loaded_says_so_and_leaves_no_process():
    with pytest.raises(FailedPrecondition, match="fill it") as raised:
        await Pool.start(Numbers(loads=False), Workers(2))
    assert raised.value.reason == "RANKER_MISSING"
    assert not [child for child in multiprocessing.active_children() if child.name == "reranking"]


async def test_of_a_caller_who_has_left_nothing_more_is_read(tmp_path):
    diary, gate = tmp_path / "diary", tmp_path / "gate"
    async with _pool(Numbers(diary=diary, gate=gate)) as pool:
        gone = asyncio.create_task(pool.read(pairs(*(f"0.{index}" for index in range(100, 200))), None))
        await _until(lambda: len(_read(diary)) == 1)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        gate.touch()
        assert (await pool.read(pairs("0.7"), None)).relevance == (0.7,)
    assert ["0.7"] in _read(diary)
    assert ["0.132"] not in _read(diary)  # beyond what had been taken together


async def test_more_requests_than_may_wait_are_refused_at_once(tmp_path):
    diary, gate = tmp_path / "diary", tmp_path / "gate"
    async with _pool(Numbers(diary=diary, gate=gate), Workers(1, most_waiting=2)) as pool:
        waiting = [asyncio.create_task(pool.read(pairs("0.5"), None))]
        await _until(lambda: len(_read(diary)) == 1)
        waiting += [asyncio.create_task(pool.read(pairs("0.5"), None)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ResourceExhausted) as raised:
            await pool.read(pairs("0.5"), None)
        assert raised.value.retry_after > 0
        gate.touch()
        assert [(await task).relevance for task in waiting] == [(0.5,)] * 3


async def test_closing_ends_a_request_that_is_being_read(tmp_path):
    diary = tmp_path / "diary"
    pool = await Pool.start(Numbers(diary=diary, gate=tmp_path / "never"), ONE)
    reading = asyncio.create_task(pool.read(pairs("0.5", "0.6"), None))
    await _until(lambda: len(_read(diary)) == 1)
    [pid] = pool.pids
    async with asyncio.timeout(20):
        await pool.close()
        with pytest.raises(Internal):
            await reading
    assert not psutil.pid_exists(pid)
