"""What an agent holds, and how it answers; the words are the real agent's."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from doubles.agent.catalogue import Catalogue, Files, place
from doubles.agent.engine import Engine
from sluice.adapters.v1 import adapters_pb2 as pb
from sluice_inference.adapter_agent.conversion import source_message
from sluice_inference.adapter_agent.reasons import Reason, failure, is_permanent
from sluice_inference.adapter_agent.resolving import Wanted
from sluice_servicekit.errors import ServiceError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


@dataclass(frozen=True, slots=True)
class Settings:
    """Of one agent and its engine."""

    token: str = ""
    """Asked for where it is not empty."""
    max_lora_rank: int = 16
    max_cpu_loras: int = 16
    folder: str = "/adapters"
    model: str = "tiny"
    load_seconds: float = 0.0
    """That the engine takes for each adapter."""
    fetch_seconds: float = 0.0
    """That each adapter takes to come."""
    fetch_concurrency: int = 2
    progress_seconds: float = 0.5
    """Between two looks at how far a `Resolve` is."""


@dataclass
class Faults:
    """What goes wrong; may change at any time. Places are those of `place`."""

    silent: bool = False
    """Takes calls and never replies."""
    engine_down: bool = False
    slow_status: float = 0.0
    """Seconds between what a status says and its being sent."""
    slow_sources: dict[str, float] = field(default_factory=dict)
    """Seconds that an adapter takes to come."""
    slow_loads: dict[str, float] = field(default_factory=dict)
    """Seconds that the engine takes besides, by place."""
    failing_loads: dict[str, int] = field(default_factory=dict)
    """How many more loads fail with `ENGINE_FAILED`, by place; all where negative."""


@dataclass(slots=True)
class _Job:
    wanted: Wanted
    progress: pb.Progress
    task: "asyncio.Task[Files]" = field(init=False)


class State:
    """One agent."""

    def __init__(self, settings: Settings, catalogue: Catalogue, faults: Faults) -> None:
        self.settings = settings
        self.catalogue = catalogue
        self.faults = faults
        self.engine = Engine(settings.model, settings.max_cpu_loras, settings.load_seconds)
        self.here: dict[str, Files] = {}
        """By folder."""
        self.calls: Counter[str] = Counter()
        self.loading = 0
        """Loads that are being made, or wait for the engine."""
        self._places: dict[str, str] = {}
        self._latest: dict[str, str] = {}
        self._jobs: dict[Wanted, _Job] = {}
        self._failed: dict[Wanted, ServiceError] = {}
        self._fetching = asyncio.Semaphore(settings.fetch_concurrency)
        self._names: dict[str, asyncio.Lock] = {}

    async def resolve(self, wanted: Wanted, seconds: float) -> AsyncIterator[pb.ResolveResponse]:
        """Progress, and the adapter last."""
        if folder := self._find(wanted):
            self._failed.pop(wanted, None)
            try:
                self._check(wanted, self.here[folder])
            except ServiceError as error:
                self._failed[wanted] = error
                raise
            yield pb.ResolveResponse(adapter=self.adapter(folder))
            return
        job = self._jobs.get(wanted) or self._start(wanted, seconds)
        said = None
        while not job.task.done():
            if job.progress != said:
                said = pb.Progress()
                said.CopyFrom(job.progress)
                yield pb.ResolveResponse(progress=said)
            await asyncio.wait({job.task}, timeout=self.settings.progress_seconds)
        yield pb.ResolveResponse(adapter=self.adapter(self._folder(job.task.result())))

    async def load(self, request: pb.LoadRequest) -> pb.LoadResponse:
        """Has the engine take an adapter."""
        _check_name(request.name)
        found = (
            folder
            for folder, files in self.here.items()
            if (files.digest, files.config_digest) == (request.digest, request.config_digest)
        )
        if (folder := next(found, None)) is None:
            raise failure(
                Reason.ADAPTER_MISSING, f"the adapter {request.digest} is not here; resolve it first"
            )
        async with self._names.setdefault(request.name, asyncio.Lock()):
            started = time.monotonic()
            self.loading += 1
            try:
                before = await self._load(request.name, folder)
            finally:
                self.loading -= 1
        return pb.LoadResponse(already_loaded=before, seconds=0.0 if before else time.monotonic() - started)

    async def _load(self, name: str, folder: str) -> bool:
        self._ask_engine()
        listed = self.engine.loaded.get(name, folder)
        if listed != folder or name == self.engine.model:
            raise failure(Reason.NAME_TAKEN, f"vLLM serves something else as {name}")
        if name in self.engine.loaded:
            return True
        where = self._places[folder]
        if left := self.faults.failing_loads.get(where, 0):
            self.faults.failing_loads[where] = left - 1
            raise failure(Reason.ENGINE_FAILED, "vLLM says (500): the worker failed")
        taken = await self.engine.load(name, folder, self.faults.slow_loads.get(where, 0.0))
        self._ask_engine()
        if not taken:
            raise failure(Reason.ENGINE_UNREACHABLE, "vLLM cannot be reached: it restarted")
        return False

    async def unload(self, name: str) -> pb.UnloadResponse:
        """Has the engine forget a name."""
        _check_name(name)
        async with self._names.setdefault(name, asyncio.Lock()):
            self._ask_engine()
            if name == self.engine.model:
                raise failure(Reason.NAME_INVALID, f"{name} is the base model, and no adapter")
            if name not in self.engine.loaded:
                return pb.UnloadResponse(was_loaded=False)
            self.engine.unload(name)
            return pb.UnloadResponse(was_loaded=True)

    def status(self) -> pb.GetStatusResponse:
        """All there is."""
        response = pb.GetStatusResponse(
            engine=pb.Engine(reachable=True, models=[self.engine.model]),
            adapters=[self.adapter(folder) for folder in self.here],
            used_bytes=sum(files.size_bytes for files in self.here.values()),
            budget_bytes=20 << 30,
        )
        try:
            self._ask_engine()
        except ServiceError as error:
            response.engine.CopyFrom(pb.Engine(problem=error.message, reason=error.reason))
        else:
            for name, folder in self.engine.loaded.items():
                files = self.here.get(folder)
                response.loaded.add(
                    name=name,
                    path=folder,
                    digest=files.digest if files else "",
                    config_digest=files.config_digest if files else "",
                )
        for job in self._jobs.values():
            source = source_message(job.wanted.source)
            response.resolutions.add(source=source, digest=job.wanted.digest, progress=job.progress)
        for wanted, error in self._failed.items():
            failed = pb.Failure(reason=error.reason, message=error.message, permanent=is_permanent(error))
            response.resolutions.add(
                source=source_message(wanted.source), digest=wanted.digest, failure=failed
            )
        return response

    def adapter(self, folder: str) -> pb.Adapter:
        """An adapter that is here."""
        files = self.here[folder]
        return pb.Adapter(
            digest=files.digest,
            config_digest=files.config_digest,
            path=folder,
            origin=self._places[folder],
            rank=files.rank,
            base_model=files.base_model,
            target_modules=files.target_modules,
            size_bytes=files.size_bytes,
        )

    def close(self) -> None:
        """Stops what is on its way."""
        for job in self._jobs.values():
            job.task.cancel()

    def _find(self, wanted: Wanted) -> str | None:
        if wanted.digest and wanted.config_digest:
            folder = _folder(self.settings.folder, wanted.digest, wanted.config_digest)
            return folder if folder in self.here else None
        folder = self._latest.get(wanted.key, "")
        files = self.here.get(folder)
        fits = (
            files
            and wanted.digest in ("", files.digest)
            and wanted.config_digest in ("", files.config_digest)
        )
        return folder if fits else None

    def _start(self, wanted: Wanted, seconds: float) -> _Job:
        self._failed.pop(wanted, None)
        job = _Job(wanted, pb.Progress(phase=pb.PHASE_WAITING))
        job.task = asyncio.create_task(self._bring(job, seconds))
        self._jobs[wanted] = job
        job.task.add_done_callback(lambda _: self._ended(job))
        return job

    def _ended(self, job: _Job) -> None:
        del self._jobs[job.wanted]
        if not job.task.cancelled() and isinstance(error := job.task.exception(), ServiceError):
            self._failed[job.wanted] = error

    async def _bring(self, job: _Job, seconds: float) -> Files:
        wanted = job.wanted
        where = place(wanted.source)
        async with self._fetching:
            found = self.catalogue.at(wanted.source)
            size = found.size_bytes if isinstance(found, Files) else 0
            job.progress = pb.Progress(phase=pb.PHASE_FETCHING, bytes=size // 2, total_bytes=size)
            try:
                async with asyncio.timeout(seconds or None):
                    await asyncio.sleep(self.faults.slow_sources.get(where, self.settings.fetch_seconds))
            except TimeoutError:
                raise failure(
                    Reason.SOURCE_TOO_SLOW, f"the adapter did not come within {seconds:g} s"
                ) from None
            if not isinstance(found, Files):
                raise failure(found, f"{where} has no adapter that can be taken")
            job.progress = pb.Progress(phase=pb.PHASE_CHECKING, bytes=size, total_bytes=size)
            for expected, digest in (
                (wanted.digest, found.digest),
                (wanted.config_digest, found.config_digest),
            ):
                if expected not in ("", digest):
                    raise failure(
                        Reason.DIGEST_MISMATCH, f"the digest is {digest}, and {expected} is asked for"
                    )
            self._check(wanted, found)
            folder = self._folder(found)
            self.here[folder] = found
            self._places[folder] = where
            self._latest[wanted.key] = folder
            return found

    def _check(self, wanted: Wanted, files: Files) -> None:
        if files.wrong:
            raise failure(files.wrong, "the adapter does not fit")
        if files.rank > self.settings.max_lora_rank:
            raise failure(
                Reason.RANK_TOO_HIGH, f"the rank is {files.rank}; vLLM takes {self.settings.max_lora_rank}"
            )
        if wanted.rank not in (0, files.rank):
            raise failure(Reason.RANK_MISMATCH, f"the rank is {files.rank}, and {wanted.rank} is asked for")

    def _ask_engine(self) -> None:
        if self.faults.engine_down:
            raise failure(Reason.ENGINE_UNREACHABLE, "vLLM cannot be reached; it may still be starting")

    def _folder(self, files: Files) -> str:
        return _folder(self.settings.folder, files.digest, files.config_digest)


def _folder(root: str, digest: str, config_digest: str) -> str:
    return f"{root}/{digest.removeprefix('sha256:')}-{config_digest.removeprefix('sha256:')[:16]}"


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise failure(Reason.NAME_INVALID, f"{name[:80]!r} is no name")
