"""`Engine` on this machine: shards below one folder, in one worker process, and in another while one is filled."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sluice_api.objects.knowledge_base import Graph, KnowledgeBaseSpec
from sluice_retriever.store.edge import worker
from sluice_retriever.store.edge.generations import Generations
from sluice_retriever.store.edge.worker_store import WorkerStore
from sluice_retriever.store.messages import CannotOpen
from sluice_retriever.store.schema import Manifest
from sluice_retriever.worker_pool import WorkerPool
from sluice_servicekit.errors import FailedPrecondition

#: Seconds that building a graph may take.
_BUILDING = 6 * 3600.0


@dataclass(frozen=True)
class EdgeFilling:
    """A generation in a worker of its own."""

    store: WorkerStore
    manifest: Manifest
    pool: WorkerPool

    async def finish(self) -> None:
        """Makes codes that are made only at the end, and the graph where there is to be one."""
        await self.store.optimize()

    async def close(self) -> None:
        """Ends the worker."""
        await asyncio.to_thread(self.pool.close)


class EdgeEngine:
    """The embedded engine.

    Args:
        root: The folder of the knowledge bases.
        threads: Of its searches.
    """

    def __init__(self, root: Path, threads: int = 1) -> None:
        self._root = root
        self._threads = threads
        self._opened: dict[str, tuple[Manifest, KnowledgeBaseSpec]] = {}
        self._pool = WorkerPool("knowledge bases' worker", worker.start, prepare=self._reopen)

    def start(self) -> None:
        """Starts the worker, which then loads while the rest of the retriever does."""
        self._pool.start()

    async def current(self, name: str) -> Manifest | None:
        """The generation in force."""
        return await asyncio.to_thread(self._generations(name).current)

    async def names(self, name: str) -> list[str]:
        """All generations' names, oldest first."""
        return await asyncio.to_thread(self._generations(name).names)

    async def begun(self, name: str, current: Manifest) -> list[Manifest]:
        """Generations after the one in force."""
        return await asyncio.to_thread(self._generations(name).after, current.generation)

    async def create(self, name: str, manifest: Manifest, spec: KnowledgeBaseSpec) -> None:
        """Makes an empty generation."""
        await asyncio.to_thread(self._generations(name).create, manifest)

    async def put_in_force(self, name: str, manifest: Manifest) -> None:
        """Makes a generation the one in force."""
        await asyncio.to_thread(self._generations(name).put_in_force, manifest.generation)

    async def keep_only(self, name: str, *generations: str) -> None:
        """Removes all but these."""
        await asyncio.to_thread(self._generations(name).keep_only, *generations)

    async def open(self, name: str, manifest: Manifest, spec: KnowledgeBaseSpec) -> WorkerStore:
        """The generation in force."""
        # Noted first: a worker that dies on the way opens this one.
        self._opened[name] = manifest, spec
        try:
            await self._pool.run(worker.open_store, *self._opening(name, manifest, spec), attempts=2)
        except CannotOpen as error:
            del self._opened[name]
            raise FailedPrecondition(
                f"knowledge base {name!r} cannot be opened: {error}", reason="KNOWLEDGE_BASE_CANNOT_BE_OPENED"
            ) from error
        return WorkerStore(self._pool, name, lambda: self._opened.pop(name, None))

    @asynccontextmanager
    async def filling(
        self, name: str, manifest: Manifest, spec: KnowledgeBaseSpec
    ) -> AsyncIterator[EdgeFilling]:
        """A generation that is not in force."""

        def prepare(submit: Callable[..., object]) -> None:
            submit(worker.open_store, *self._opening(name, manifest, spec))

        pool = WorkerPool("rebuilding worker", worker.start, prepare=prepare, longest=_BUILDING)
        try:
            yield EdgeFilling(WorkerStore(pool, name), manifest, pool)
        finally:
            await asyncio.to_thread(pool.close)

    def searches_graph(self, manifest: Manifest) -> bool:
        """Only where the knowledge base asks for one."""
        return manifest.shape.dense.graph is Graph.ON

    async def close(self) -> None:
        """Closes all shards and ends the worker."""
        for name in self._opened:
            self._pool.submit(worker.close_store, name)
        await asyncio.to_thread(self._pool.close)

    def _generations(self, name: str) -> Generations:
        return Generations(self._root / name)

    def _opening(
        self, name: str, manifest: Manifest, spec: KnowledgeBaseSpec
    ) -> tuple[str, Path, Manifest, worker.Fields, int]:
        path = self._generations(name).path(manifest.generation)
        return name, path, manifest, spec.fields, self._threads

    def _reopen(self, submit: Callable[..., object]) -> None:
        # First in the new worker's queue, so that every call after them finds its knowledge base open.
        for name, (manifest, spec) in self._opened.items():
            submit(worker.open_store, *self._opening(name, manifest, spec))
