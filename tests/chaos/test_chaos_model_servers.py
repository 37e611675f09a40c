"""A replica of a model server is killed while it writes."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from sluice_inference.domain.model import Delta, Finish, Message, Passage, Task
from sluice_inference.engines.openai_compatible import OpenAiCompatibleEngine
from sluice_servicekit.errors import ServiceError
from support.running import PROJECT
from support.upstreams import upstream_engine

pytestmark = pytest.mark.processes

TASK = Task((Message("user", "How long?"),), (Passage("a.md", "Care", "After 40 hours.", 1.0),))

#: About half a second to read a prompt, and a second to write the answer.
PACE = ("--prompt-token-seconds", "0.002", "--token-seconds", "0.1", "--answer-tokens", "8")


@dataclass
class Asked:
    """What became of a request."""

    pieces: int = 0
    finish: Finish | None = None
    error: ServiceError | None = None


@contextlib.asynccontextmanager
async def _process() -> AsyncIterator[tuple[str, int]]:
    """A server of its own: its base URL, and its process."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "tests")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "doubles.vllm", *PACE, stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip() + "/v1", process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _ask(engine: OpenAiCompatibleEngine, number: int, asked: Asked) -> None:
    # No server has read the beginning of another's prompt.
    task = replace(TASK, instructions=f"{number} is the number of this request.")
    try:
        async for event in engine.generate(task):
            if isinstance(event, Delta):
                asked.pieces += bool(event.text)
            else:
                asked.finish = event
    except ServiceError as error:
        asked.error = error


async def test_killed_replica_costs_no_request_that_had_no_byte_yet():
    async with contextlib.AsyncExitStack() as stack:
        entered = await asyncio.gather(*(stack.enter_async_context(_process()) for _ in range(3)))
        engine = upstream_engine([url for url, _ in entered], imbalance=0.0)
        stack.push_async_callback(engine.close)
        first, second = [Asked() for _ in range(9)], [Asked() for _ in range(30)]
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for number, asked in enumerate(first):
                tasks.create_task(_ask(engine, number, asked))
            while not all(asked.pieces for asked in first):  # noqa: ASYNC110 - another process's doing
                await asyncio.sleep(0.02)
            for number, asked in enumerate(second, len(first)):
                tasks.create_task(_ask(engine, number, asked))
            while sum(replica.in_flight for replica in engine.replicas) < len(second):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)  # they have left
            without = sum(not asked.pieces for asked in second)
            os.kill(entered[0][1], signal.SIGKILL)

    broken = [asked for asked in (*first, *second) if asked.error is not None]
    assert without > 20
    assert [asked for asked in broken if not asked.pieces] == []
    assert {asked.error.reason for asked in broken if asked.error} == {"UPSTREAM_TRUNCATED"}
    assert all("broke off" in asked.error.message for asked in broken if asked.error)
    assert all(asked.finish is not None and asked.pieces for asked in second if asked.error is None)
    left = {asked.finish.replica for asked in second if asked.finish}
    assert len(left) == 2
