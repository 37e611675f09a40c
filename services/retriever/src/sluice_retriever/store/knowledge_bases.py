"""Which knowledge bases there are, and where each one's generation in force is kept."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sluice_api.objects.knowledge_base import Graph, KnowledgeBaseSpec
from sluice_retriever.encoding.encoders import Encoders, KnowledgeBaseEncoder
from sluice_retriever.store import worker
from sluice_retriever.store.generations import Generations
from sluice_retriever.store.messages import CannotOpen
from sluice_retriever.store.schema import Manifest, Shape
from sluice_retriever.store.sharing import Gate
from sluice_retriever.store.store import Store
from sluice_retriever.store.worker_store import WorkerStore
from sluice_retriever.worker_pool import WorkerPool
from sluice_servicekit.errors import FailedPrecondition, NotFound

#: Seconds that building a graph may take.
_BUILDING = 6 * 3600.0

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Home:
    """A knowledge base as it is open now."""

    name: str
    spec: KnowledgeBaseSpec
    manifest: Manifest
    encoder: KnowledgeBaseEncoder
    """Of the generation's model, which need not be the spec's before a rebuild."""
    store: Store
    writing: Gate
    """Held by whoever writes, and alone while one generation takes another's place."""


@dataclass(frozen=True)
class Building:
    """A generation that is being built beside the one in force."""

    manifest: Manifest
    encoder: KnowledgeBaseEncoder
    store: WorkerStore
    before: Manifest
    """Of the one in force."""
    _pool: WorkerPool

    @property
    def same_model(self) -> bool:
        """What is stored need not be encoded again."""
        return self.manifest.model_digest == self.before.model_digest

    async def finish(self) -> None:
        """Builds the graph where there is to be one."""
        if self.manifest.shape.dense.graph is Graph.ON:
            await self.store.optimize()

    async def close(self) -> None:
        """Lets go of the generation."""
        await asyncio.to_thread(self._pool.close)


class KnowledgeBases:
    """All knowledge bases of this retriever.

    Args:
        root: The folder of the embedded ones, which share one worker process.
        encoders: Their models.
        threads: Of the embedded engine's searches.
    """

    def __init__(self, root: Path, encoders: Encoders, threads: int = 1) -> None:
        self._root = root
        self._encoders = encoders
        self._threads = threads
        self._homes: dict[str, Home] = {}
        self._building: set[str] = set()
        self._pool = WorkerPool("knowledge bases' worker", worker.start, prepare=self._reopen)
        self._changing = asyncio.Lock()

    def start(self) -> None:
        """Starts the worker, which then loads while the rest of the retriever does."""
        self._pool.start()

    async def apply(self, specs: Mapping[str, KnowledgeBaseSpec]) -> None:
        """Opens what is new or changed, closes what is gone. A removed knowledge base's data stays.

        Raises:
            ValueError: a spec asks for an engine that this version does not have. Nothing has changed then.
            FailedPrecondition: a knowledge base cannot be opened as its spec says; it stays as it was.
        """
        for name, spec in specs.items():
            if spec.deployment.self_hosted is not None:
                raise ValueError(
                    f"knowledge base {name!r}: deployment.selfHosted is not there in this version, which"
                    " stores vectors in its embedded engine only; leave it out"
                )
        async with self._changing:
            for name, spec in specs.items():
                home = self._homes.get(name)
                if home is None:
                    self._homes[name] = await self._open(name, spec)
                elif home.spec != spec:
                    self._homes[name] = replace(home, spec=spec)
                    self._tell_of_rebuild(name, spec, home.manifest)
            for name in self._homes.keys() - specs.keys():
                await self._homes.pop(name).store.close()

    def home(self, name: str) -> Home:
        """A knowledge base.

        Raises:
            NotFound: there is none of that name.
        """
        if name not in self._homes:
            known = ", ".join(sorted(self._homes)) or "none"
            raise NotFound(
                f"there is no knowledge base {name!r}; there is: {known}", reason="KNOWLEDGE_BASE_NOT_FOUND"
            )
        return self._homes[name]

    def names(self) -> list[str]:
        """All knowledge bases."""
        return sorted(self._homes)

    @asynccontextmanager
    async def building(self, name: str) -> AsyncIterator[Building]:
        """A generation that is as the spec now says, to be filled and then taken; one that an earlier attempt left
        goes on.

        Raises:
            NotFound: there is no such knowledge base.
            FailedPrecondition: it is being rebuilt already.
        """
        home = self.home(name)
        if name in self._building:
            raise FailedPrecondition(
                f"knowledge base {name!r} is being rebuilt already", reason="REBUILD_RUNNING"
            )
        self._building.add(name)
        generations = Generations(self._root / name)
        try:
            manifest = await asyncio.to_thread(self._resumed, generations, home)
            path = generations.path(manifest.generation)

            def prepare(submit: Callable[..., object]) -> None:
                submit(worker.open_store, name, path, manifest, self._threads)

            pool = WorkerPool("rebuilding worker", worker.start, prepare=prepare, longest=_BUILDING)
            try:
                encoder = self._encoders.of(manifest.shape.embedding)
                yield Building(manifest, encoder, WorkerStore(pool, name), home.manifest, pool)
            finally:
                await asyncio.to_thread(pool.close)
        finally:
            self._building.discard(name)

    async def take(self, name: str, building: Building) -> None:
        """Puts another generation in force. Nobody may write to the knowledge base meanwhile."""
        await building.close()
        manifest = building.manifest
        generations = Generations(self._root / name)
        generations.put_in_force(manifest.generation)
        # In this order: a worker that dies between the two opens what is in force.
        self._homes[name] = replace(self.home(name), manifest=manifest, encoder=building.encoder)
        await self._open_in_worker(name, manifest)
        await asyncio.to_thread(generations.remove_before, manifest.generation)

    async def worker_pid(self) -> int:
        """The worker's process id."""
        return await self._pool.run(worker.pid)

    async def close(self) -> None:
        """Closes all knowledge bases and ends the worker."""
        for home in self._homes.values():
            await home.store.close()
        await asyncio.to_thread(self._pool.close)

    async def _open(self, name: str, spec: KnowledgeBaseSpec) -> Home:
        generations = Generations(self._root / name)
        manifest = await asyncio.to_thread(generations.current)
        if manifest is None:
            generations.remove_others()
            manifest = self._manifest(spec, generations.following())
            generations.create(manifest)
            generations.put_in_force(manifest.generation)
        await asyncio.to_thread(generations.remove_before, manifest.generation)
        encoder = self._encoders.of(manifest.shape.embedding)
        if encoder.model_digest != manifest.model_digest:
            raise FailedPrecondition(
                f"knowledge base {name!r} was encoded by another model than {manifest.shape.embedding} now is;"
                " put the model back, or remove the knowledge base's data and ingest again",
                reason="MODEL_CHANGED",
            )
        self._tell_of_rebuild(name, spec, manifest)
        await self._open_in_worker(name, manifest)
        return Home(name, spec, manifest, encoder, WorkerStore(self._pool, name), Gate())

    def _resumed(self, generations: Generations, home: Home) -> Manifest:
        wanted = self._manifest(home.spec, generations.following())
        for begun in generations.unfinished():
            if begun.model_copy(update={"generation": wanted.generation}) == wanted:
                return begun
        generations.remove_others(home.manifest.generation)
        generations.create(wanted)
        return wanted

    def _manifest(self, spec: KnowledgeBaseSpec, generation: str) -> Manifest:
        encoder = self._encoders.of(spec.embedding)
        return Manifest(
            generation=generation,
            model_digest=encoder.model_digest,
            dense_dimension=encoder.dense_dimension,
            shape=Shape.of(spec),
        )

    async def _open_in_worker(self, name: str, manifest: Manifest) -> None:
        path = Generations(self._root / name).path(manifest.generation)
        try:
            await self._pool.run(worker.open_store, name, path, manifest, self._threads, attempts=2)
        except CannotOpen as error:
            raise FailedPrecondition(
                f"knowledge base {name!r} cannot be opened: {error}", reason="KNOWLEDGE_BASE_CANNOT_BE_OPENED"
            ) from error

    def _reopen(self, submit: Callable[..., object]) -> None:
        # First in the new worker's queue, so that every call after them finds its knowledge base open.
        for name, home in self._homes.items():
            path = Generations(self._root / name).path(home.manifest.generation)
            submit(worker.open_store, name, path, home.manifest, self._threads)

    def _tell_of_rebuild(self, name: str, spec: KnowledgeBaseSpec, manifest: Manifest) -> None:
        if Shape.of(spec) != manifest.shape:
            _LOG.warning(
                "knowledge base %r keeps its embedding, dense, tokens and sparse settings until it is rebuilt:"
                " sluice rebuild %s",
                name,
                name,
            )
