"""The same loads in virtual time: the doubles' engines without HTTP, on a loop whose clock jumps to the next event.

What else the machine does plays no part, so that the same seed gives the same numbers everywhere; thousands of requests
take seconds. CPU is that of the pool, the choice and the engines' double, without HTTP.
"""

import asyncio
import itertools
import random
import time
from collections.abc import AsyncGenerator, Sequence

from doubles.vllm import Adapter, Settings
from doubles.vllm.engine import Engine, Job
from sluice_api.objects.model_server import Routing
from sluice_api.snapshot import Endpoint
from sluice_inference.domain.model import Delta, Finish, FinishReason, Task
from sluice_inference.domain.routing.model import Ask
from sluice_inference.domain.routing.scraped import Scraped
from sluice_inference.engines.pool import Order, Pool
from sluice_inference.engines.replica import Replica, Room

#: Tokens of every prompt and of every answer.
PROMPT, ANSWER = 200, 16

#: Virtual seconds between two looks at the replicas.
_SCRAPE = 1.0

_FINISH = Finish(FinishReason.STOP, "tiny")

Json = dict[str, object]


class _Loop(asyncio.SelectorEventLoop):
    """Its time stands still while there is something to do, and is then that of the next timer."""

    _virtual = 0.0

    def time(self) -> float:
        return self._virtual

    def _run_once(self) -> None:
        if not self._ready:
            due = [handle.when() for handle in self._scheduled if not handle.cancelled()]
            self._virtual = max(self._virtual, min(due, default=self._virtual))
        super()._run_once()


def measured(
    way: str, requests: Sequence[tuple[float, Task]], settings: Settings, replicas: int, adapters: int
) -> Json:
    """What became of requests, by when they left and what they ask; times in virtual milliseconds."""
    loop = _Loop()
    try:
        return loop.run_until_complete(_Run(loop, way, settings, replicas, adapters).measured(requests))
    finally:
        loop.close()


class _Run:
    """One way, with replicas of its own."""

    def __init__(self, loop: _Loop, way: str, settings: Settings, replicas: int, adapters: int) -> None:
        self._loop = loop
        self._engines = {f"r{number}": Engine(settings, lambda _: None) for number in range(replicas)}
        self._adapters = {
            f"a{number}": Adapter(f"a{number}", number + 1, f"/a{number}", f"/a{number}")
            for number in range(adapters)
        }
        self._slots = settings.max_loras
        self._turns = itertools.cycle(self._engines) if way == "round robin" else None
        self._pool = Pool("bench", loop.time, random.Random(1))
        endpoints = [Endpoint(name=name, url=f"http://{name}/v1") for name in self._engines]
        routing = Routing(imbalance=0.0) if way == "least work" else Routing()
        self._pool.take_over(endpoints, Room(settings.max_loras, settings.max_cpu_loras), routing)
        self._firsts: list[float] = []
        self._wholes: list[float] = []

    async def measured(self, requests: Sequence[tuple[float, Task]]) -> Json:
        before = time.process_time()
        scraping = asyncio.create_task(self._scrape())
        async with asyncio.TaskGroup() as tasks:
            for due, task in requests:
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                tasks.create_task(self._one(task.model_name, due))
        scraping.cancel()
        counts = [engine.counts for engine in self._engines.values()]
        return {
            "asked": len(self._wholes),
            "failed": 0,
            "first_piece_ms": self._firsts,
            "whole_ms": self._wholes,
            "cpu_ms": 1000 * (time.process_time() - before) / len(self._wholes),
            "loads": {
                place: sum(each[f"loads_{place}"] for each in counts) for place in ("folder", "memory")
            },
        }

    async def _one(self, adapter: str, due: float) -> None:
        if self._turns is not None:
            events = self._call(next(self._turns), adapter)
        else:
            events = self._pool.stream(Order(Ask(adapter)), lambda replica: self._at(replica, adapter))
        first = None
        async for _ in events:
            first = self._loop.time() if first is None else first
        assert first is not None
        self._firsts.append(1000 * (first - due))
        self._wholes.append(1000 * (self._loop.time() - due))

    def _at(self, replica: Replica, adapter: str) -> AsyncGenerator[Delta | Finish, None]:
        return self._call(replica.name, adapter)

    async def _call(self, replica: str, adapter: str) -> AsyncGenerator[Delta | Finish, None]:
        engine, job = self._engines[replica], Job(self._adapters[adapter], range(PROMPT), ANSWER)
        async with engine.admitted(job):
            for _ in range(ANSWER):
                await engine.step(job)
                yield Delta("a")
        yield _FINISH

    async def _scrape(self) -> None:
        while True:
            for replica in self._pool.replicas:
                engine = self._engines[replica.name]
                jobs = [*engine.running, *engine.waiting]
                names = frozenset(job.adapter.name for job in jobs if job.adapter)
                replica.told(Scraped(len(jobs), 0.0, names, self._slots), self._loop.time(), 5 * _SCRAPE)
            await asyncio.sleep(_SCRAPE)
