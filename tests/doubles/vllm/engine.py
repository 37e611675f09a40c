"""The engine: who runs, who waits and why, and how long it takes. Nothing is computed."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from doubles.vllm import errors
from doubles.vllm.adapters import Adapter, Held, Place
from doubles.vllm.prefix_cache import PrefixCache
from doubles.vllm.settings import Settings


@dataclass(eq=False)
class Job:
    """One request in the engine."""

    adapter: Adapter | None
    tokens: Sequence[int]
    """Of the prompt."""
    most: int
    """Tokens that may be written."""
    cached: int = 0
    """Tokens of the prompt that the prefix cache had."""
    admitted: asyncio.Event = field(default_factory=asyncio.Event)
    deferred: bool = False
    """Waits for a slot for its adapter, not for room."""


class Engine:
    """One engine core.

    Args:
        settings: Its limits and its pace.
        reread: Reads an adapter that memory has dropped; where it raises an `ApiError` the engine dies.
    """

    def __init__(self, settings: Settings, reread: Callable[[Adapter], None]) -> None:
        self._settings = settings
        self._reread = reread
        self._cache = PrefixCache(settings.block_size, settings.num_blocks)
        self._busy = asyncio.Lock()
        self.held = Held(settings.max_loras, settings.max_cpu_loras)
        self.waiting: list[Job] = []
        self.running: list[Job] = []
        self.counts: Counter[str] = Counter()
        """Since it started: queries and hits of the prefix cache, tokens, loads by where the adapter was."""
        self.died = asyncio.Event()
        """It is no more, and fails all that it is asked."""
        self.changed: Callable[[], None] = lambda: None
        """Called whenever what runs or waits has changed."""

    @property
    def kv_usage(self) -> float:
        """The part of the KV cache that requests in the engine hold."""
        return sum(self._blocks(job) for job in self.running) / self._settings.num_blocks

    @asynccontextmanager
    async def admitted(self, job: Job) -> AsyncIterator[None]:
        """Waits until the job runs and its prompt has been read; it runs until the block ends."""
        self.waiting.append(job)
        self._schedule()
        try:
            await job.admitted.wait()
            self._check()
            await self._prefill(job)
            yield
        finally:
            for jobs in (self.waiting, self.running):
                if job in jobs:
                    jobs.remove(job)
            self._schedule()

    async def step(self, job: Job) -> None:
        """One token of a running job.

        Raises:
            ApiError: the engine has died.
        """
        await self._place(job.adapter)
        await asyncio.sleep(self._settings.token_seconds)
        self._check()
        self.counts["generation_tokens"] += 1

    async def add(self, adapter: Adapter, more_seconds: float = 0.0) -> None:
        """Reads an adapter, and takes it."""
        async with self._busy:
            self.held.drop(adapter.number)
            self.counts["loads_folder"] += 1
            await asyncio.sleep(self._settings.load_seconds + more_seconds)
            self.held.use(adapter.number)

    async def _prefill(self, job: Job) -> None:
        await self._place(job.adapter)
        of = (job.adapter.name, job.adapter.path) if job.adapter else None
        job.cached = self._cache.hit(of, job.tokens)
        self.counts["prefix_cache_queries"] += len(job.tokens)
        self.counts["prefix_cache_hits"] += job.cached
        self.counts["prompt_tokens"] += len(job.tokens)
        await asyncio.sleep((len(job.tokens) - job.cached) * self._settings.prompt_token_seconds)
        self._cache.keep(of, job.tokens)

    async def _place(self, adapter: Adapter | None) -> None:
        """Waits for who loads, and brings the adapter into a slot where it is not."""
        if adapter is None and not self._busy.locked():
            return
        async with self._busy:
            if adapter is None:
                return
            place = Place.FOLDER if adapter.in_place else self.held.where(adapter.number)
            if place is Place.FOLDER:
                try:
                    self._reread(adapter)
                except errors.ApiError:
                    self._die()
                self._check()
                await asyncio.sleep(self._settings.load_seconds)
            elif place is Place.MEMORY:
                await asyncio.sleep(self._settings.slot_seconds)
            if place is not Place.SLOT:
                self.counts[f"loads_{place}"] += 1
            self.held.use(adapter.number)

    def _die(self) -> None:
        self.died.set()
        for job in self.waiting:
            job.admitted.set()

    def _check(self) -> None:
        if self.died.is_set():
            raise errors.engine_died()

    def _schedule(self) -> None:
        """Lets in who may run, in the order of arrival; who lacks only a slot is passed by."""
        for job in list(self.waiting):
            job.deferred = False
            if len(self.running) >= self._settings.max_num_seqs or not self._has_room(job):
                break
            job.deferred = not self._has_slot(job)
            if job.deferred:
                continue
            self.waiting.remove(job)
            self.running.append(job)
            job.admitted.set()
        self.changed()

    def _has_room(self, job: Job) -> bool:
        held = sum(self._blocks(other) for other in self.running)
        return not self.running or held + self._blocks(job) <= self._settings.num_blocks

    def _has_slot(self, job: Job) -> bool:
        in_use = {other.adapter.number for other in self.running if other.adapter}
        return job.adapter is None or job.adapter.number in in_use or len(in_use) < self._settings.max_loras

    def _blocks(self, job: Job) -> int:
        return -(-(len(job.tokens) + job.most) // self._settings.block_size)
