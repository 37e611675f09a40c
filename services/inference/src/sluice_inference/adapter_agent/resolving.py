"""Adapters on their way: whoever asks for the same shares one download, and one who leaves stops nothing."""

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Final, Protocol

from sluice_api.objects.lora_adapter import Source
from sluice_inference.adapter_agent import files
from sluice_inference.adapter_agent.checking.checks import Limits
from sluice_inference.adapter_agent.checking.inspecting import inspect
from sluice_inference.adapter_agent.counting import RESOLUTIONS, counted
from sluice_inference.adapter_agent.reasons import Reason, failure
from sluice_inference.adapter_agent.sink import Sink
from sluice_inference.adapter_agent.store import Store, Stored
from sluice_servicekit.errors import Internal, ServiceError

_LOG = logging.getLogger(__name__)

#: Failures that are remembered, for a status to tell.
_MAX_FAILED: Final = 256


class Fetching(Protocol):
    """Whatever brings files."""

    async def fetch(self, source: Source, sink: Sink) -> str:
        """Puts an adapter's two files into a sink, and returns what exactly they were."""
        ...


class Phase(Enum):
    """What is being done to bring an adapter here."""

    WAITING = "waiting"
    FETCHING = "fetching"
    CHECKING = "checking"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is."""

    phase: Phase
    came: int = 0
    expected: int = 0
    """0 while that is not known; of several files, those that have begun to come."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An adapter that is asked for."""

    source: Source
    digest: str = ""
    config_digest: str = ""
    rank: int = 0
    strict: bool = False

    @property
    def key(self) -> str:
        """Stands for the source: a hash, since a URL may be signed and this is written down."""
        return hashlib.sha256(self.source.model_dump_json(exclude_none=True).encode()).hexdigest()

    @property
    def name(self) -> str:
        """The source in a log: without a URL's query, which may be a signature."""
        kind, fields = next(iter(self.source.model_dump(exclude_none=True).items()))
        return " ".join((kind, *(str(value).partition("?")[0] for value in fields.values())))


@dataclass(slots=True)
class Job:
    """One adapter on its way."""

    wanted: Wanted
    phase: Phase = Phase.WAITING
    sink: Sink | None = None
    task: asyncio.Task[Stored] = field(init=False)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        if self.sink is None:
            return Progress(self.phase)
        return Progress(self.phase, self.sink.came, self.sink.expected)


@dataclass(frozen=True, slots=True)
class Checking:
    """What every adapter is held to."""

    max_rank: int
    base_models: tuple[str, ...] = ()
    base_model_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one adapter may take."""

    max_bytes: int
    seconds: float
    concurrency: int


class Resolving:
    """Fetches and checks adapters.

    Args:
        sources: Bring the files.
        store: Keeps them.
        checking: What they are held to.
        bounds: What they may take.
    """

    def __init__(self, sources: Fetching, store: Store, checking: Checking, bounds: Bounds) -> None:
        self._sources = sources
        self._store = store
        self._checking = checking
        self._bounds = bounds
        self._turns = asyncio.Semaphore(bounds.concurrency)
        self._jobs: dict[Wanted, Job] = {}
        self._failed: dict[Wanted, ServiceError] = {}

    @property
    def jobs(self) -> list[Job]:
        """All that are on their way."""
        return list(self._jobs.values())

    @property
    def failed(self) -> list[tuple[Wanted, ServiceError]]:
        """Those that did not come, until they are asked for again."""
        return list(self._failed.items())

    async def resolve(
        self, wanted: Wanted, seconds: float = 0.0, every: float = 0.5
    ) -> AsyncGenerator[Progress | Stored, None]:
        """Progress while an adapter is on its way, and the adapter last.

        Args:
            wanted: Which.
            seconds: That fetching may take; the bound where 0, which is also the most.
            every: Seconds between two looks at how far it is.

        Raises:
            ServiceError: it cannot be had, or does not fit.
        """
        if found := self._store.find(wanted.digest, wanted.config_digest, wanted.key):
            yield await self._checked_again(wanted, found)
            return
        job = self._jobs.get(wanted) or self._start(wanted, seconds)
        said = None
        while not job.task.done():
            if job.progress != said:
                said = job.progress
                yield said
            await asyncio.wait({job.task}, timeout=every)
        yield job.task.result()

    async def close(self) -> None:
        """Stops all that is on its way, and removes what came of it."""
        tasks = [job.task for job in self._jobs.values()]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, ServiceError):
                await task

    def _start(self, wanted: Wanted, seconds: float) -> Job:
        self._failed.pop(wanted, None)
        job = self._jobs[wanted] = Job(wanted)
        job.task = asyncio.create_task(
            self._run(job, min(seconds or self._bounds.seconds, self._bounds.seconds))
        )
        job.task.add_done_callback(lambda _: self._ended(job))
        return job

    def _ended(self, job: Job) -> None:
        del self._jobs[job.wanted]
        if not job.task.cancelled() and isinstance(error := job.task.exception(), ServiceError):
            self._remember(job.wanted, error)

    def _remember(self, wanted: Wanted, error: ServiceError) -> None:
        self._failed[wanted] = error
        if len(self._failed) > _MAX_FAILED:
            del self._failed[next(iter(self._failed))]

    async def _run(self, job: Job, seconds: float) -> Stored:
        try:
            with counted(RESOLUTIONS):
                async with self._turns:
                    return await self._bring(job, seconds)
        except ServiceError as error:
            _LOG.warning("%s: %s: %s", job.wanted.name, error.reason, error.message)
            raise
        except Exception as error:
            _LOG.exception("%s failed", job.wanted.name)
            raise Internal(f"unexpected {type(error).__name__}; the agent's log has the details") from error

    async def _bring(self, job: Job, seconds: float) -> Stored:
        with self._store.partial() as folder:
            job.sink = sink = Sink(folder, self._store, self._bounds.max_bytes)
            try:
                job.phase = Phase.FETCHING
                origin = await self._fetch(job.wanted, sink, seconds)
                job.phase = Phase.CHECKING
                stored = await self._checked(job.wanted, sink, origin)
                kept = await self._store.keep(folder, stored)
                if kept is stored:
                    sink.gave_over()
                return kept
            finally:
                sink.give_back_all()

    async def _fetch(self, wanted: Wanted, sink: Sink, seconds: float) -> str:
        try:
            async with asyncio.timeout(seconds):
                return await self._sources.fetch(wanted.source, sink)
        except TimeoutError:
            raise failure(
                Reason.SOURCE_TOO_SLOW,
                f"the adapter did not come within {seconds:g} s; raise load.downloadTimeout or SLUICE_FETCH_SECONDS",
            ) from None

    async def _checked_again(self, wanted: Wanted, found: Stored) -> Stored:
        """What is here was checked for another who asked, and perhaps beside another base model."""
        self._failed.pop(wanted, None)
        try:
            with self._store.pinned(found) as folder:
                inspected = await asyncio.to_thread(
                    inspect, folder, self._checking.base_model_dir, self._limits(wanted)
                )
        except ServiceError as error:
            self._remember(wanted, error)
            raise
        return replace(found, warnings=inspected.checked.warnings)

    async def _checked(self, wanted: Wanted, sink: Sink, origin: str) -> Stored:
        digest, config_digest = sink.digests[files.WEIGHTS], sink.digests[files.CONFIG]
        _same(files.WEIGHTS, wanted.digest, digest)
        _same(files.CONFIG, wanted.config_digest, config_digest)
        inspected = await asyncio.to_thread(
            inspect, sink.folder, self._checking.base_model_dir, self._limits(wanted)
        )
        return Stored(
            digest=digest,
            config_digest=config_digest,
            source=wanted.key,
            origin=origin,
            rank=inspected.checked.rank,
            base_model=inspected.base_model,
            target_modules=inspected.checked.target_modules,
            size_bytes=sink.taken,
            warnings=inspected.checked.warnings,
        )

    def _limits(self, wanted: Wanted) -> Limits:
        return Limits(self._checking.max_rank, self._checking.base_models, wanted.rank, wanted.strict)


def _same(name: str, expected: str, digest: str) -> None:
    if expected not in ("", digest):
        raise failure(Reason.DIGEST_MISMATCH, f"{name} has the digest {digest}, and {expected} is asked for")
