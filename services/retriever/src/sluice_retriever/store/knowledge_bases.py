"""The retriever's side of the worker: which knowledge bases there are, and what can be asked of them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from sluice_api.objects.knowledge_base import KnowledgeBaseSpec
from sluice_retriever.domain.model import DocumentSummary, Passage, Usage
from sluice_retriever.store import worker
from sluice_retriever.store.messages import CannotOpen, Lookup, NotOpen, Part, Stored, WriteLost
from sluice_retriever.worker_pool import WorkerPool
from sluice_servicekit.errors import FailedPrecondition, NotFound, Unavailable

T = TypeVar("T")


class KnowledgeBases:
    """All knowledge bases of this retriever, in one worker process."""

    def __init__(self, root: Path, threads: int = 1) -> None:
        self._root = root
        self._threads = threads
        self._specs: dict[str, KnowledgeBaseSpec] = {}
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
                if self._specs.get(name) != spec:
                    await self._open(name, spec)
            for name in self._specs.keys() - specs.keys():
                del self._specs[name]
                await self._pool.run(worker.close_store, name)

    def spec(self, name: str) -> KnowledgeBaseSpec:
        """The spec of a knowledge base.

        Raises:
            NotFound: there is none of that name.
        """
        if name not in self._specs:
            known = ", ".join(sorted(self._specs)) or "none"
            raise NotFound(
                f"there is no knowledge base {name!r}; there is: {known}", reason="KNOWLEDGE_BASE_NOT_FOUND"
            )
        return self._specs[name]

    async def search(self, name: str, lookup: Lookup) -> list[Passage]:
        """Answers a staged query."""
        return await self._call(worker.search, name, lookup, attempts=2)

    async def stored(self, name: str, tenant: str, ids: Sequence[str]) -> dict[str, Stored]:
        """What is stored of those documents that are."""
        return await self._call(worker.stored, name, tenant, ids, attempts=2)

    async def write(self, name: str, parts: Sequence[Part]) -> None:
        """Writes parts of documents; those that end are in force and durable once it returns."""
        await self._call(worker.write, name, parts)

    def abandon(self, name: str, write_ids: Sequence[str]) -> None:
        """Has removed what was written of writes that will not go on; does not wait."""
        self._pool.submit(worker.abandon, name, write_ids)

    async def delete(self, name: str, tenant: str, ids: Sequence[str]) -> int:
        """Removes documents; gives how many there were."""
        return await self._call(worker.delete, name, tenant, ids)

    async def list_documents(
        self, name: str, tenant: str, prefix: str, after: str, limit: int
    ) -> list[DocumentSummary]:
        """A page of a tenant's documents, by id."""
        found = await self._call(worker.list_documents, name, tenant, prefix, after, limit, attempts=2)
        return [DocumentSummary(*row) for row in found]

    async def usage(self, name: str, tenant: str) -> Usage:
        """What a tenant holds."""
        return Usage(*await self._call(worker.usage, name, tenant, attempts=2))

    async def worker_pid(self) -> int:
        """The worker's process id."""
        return await self._pool.run(worker.pid)

    async def close(self) -> None:
        """Closes all knowledge bases and ends the worker."""
        for name in self._specs:
            self._pool.submit(worker.close_store, name)
        await asyncio.to_thread(self._pool.close)

    async def _call(self, function: Callable[..., T], name: str, *args: object, attempts: int = 1) -> T:
        self.spec(name)
        try:
            return await self._pool.run(function, name, *args, attempts=attempts)
        except NotOpen as error:
            raise Unavailable(f"knowledge base {name!r} cannot be opened at present") from error
        except WriteLost as error:
            raise Unavailable(
                f"the worker was replaced while document {error} was written; send it again", retry_after=0.5
            ) from error

    async def _open(self, name: str, spec: KnowledgeBaseSpec) -> None:
        before = self._specs.get(name)
        try:
            await self._pool.run(worker.open_store, name, self._root / name, spec, self._threads, attempts=2)
        except CannotOpen as error:
            if before is not None:
                self._pool.submit(worker.open_store, name, self._root / name, before, self._threads)
            raise FailedPrecondition(
                f"knowledge base {name!r} cannot be opened: {error}", reason="KNOWLEDGE_BASE_CANNOT_BE_OPENED"
            ) from error
        self._specs[name] = spec

    def _reopen(self, submit: Callable[..., object]) -> None:
        # First in the new worker's queue, so that every call after them finds its knowledge base open.
        for name, spec in self._specs.items():
            submit(worker.open_store, name, self._root / name, spec, self._threads)
