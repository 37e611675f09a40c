"""`Engine` on a Qdrant server, connected when it is first needed."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from qdrant_client import models

from sluice_api.objects.knowledge_base import Graph, KnowledgeBaseSpec, SelfHosted
from sluice_retriever.store.schema import Manifest
from sluice_retriever.store.server.backend import ServerBackend
from sluice_retriever.store.server.capabilities import unsupported
from sluice_retriever.store.server.connection import Connection, connect
from sluice_retriever.store.server.generations import ServerGenerations
from sluice_retriever.store.server.store import ServerStore

#: Seconds that a new generation is waited for to be indexed, and between two looks.
_INDEXING = 3600
_LOOK = 1.0

Replaced = Callable[[str, str], None]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerFilling:
    """A generation that is not in force."""

    store: ServerStore
    backend: ServerBackend

    async def finish(self) -> None:
        """Waits until the server has built its indexes, or for an hour."""
        connection = self.backend.connection
        for _ in range(_INDEXING):
            info = await connection.run(connection.client.get_collection(self.backend.collection))
            if info.status is not models.CollectionStatus.YELLOW:
                return
            await asyncio.sleep(_LOOK)

    async def close(self) -> None:
        """Waits for what is done in the background."""
        await self.store.close()


class ServerEngine:
    """One server.

    Args:
        where: The server.
        secrets_dir: Holds its API key.
        replaced: Called with a knowledge base and its generation that is gone: another replica has rebuilt it.
    """

    def __init__(self, where: SelfHosted, secrets_dir: Path | None, replaced: Replaced) -> None:
        self._where = where
        self._secrets_dir = secrets_dir
        self._replaced = replaced
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self._opened: list[ServerStore] = []

    async def current(self, name: str) -> Manifest | None:
        """The generation in force."""
        return await (await self._generations(name)).current()

    async def names(self, name: str) -> list[str]:
        """All generations' names, oldest first."""
        return await (await self._generations(name)).names()

    async def begun(self, name: str, current: Manifest) -> list[Manifest]:
        """Generations after the one in force."""
        return await (await self._generations(name)).after(current.generation)

    async def create(self, name: str, manifest: Manifest, spec: KnowledgeBaseSpec) -> None:
        """Makes an empty generation."""
        await self._ensure(name, manifest, spec)

    async def put_in_force(self, name: str, manifest: Manifest) -> None:
        """Makes a generation the one in force."""
        await (await self._generations(name)).put_in_force(manifest.generation)

    async def keep_only(self, name: str, *generations: str) -> None:
        """Removes all but these and the one in force."""
        await (await self._generations(name)).keep_only(*generations)

    async def open(self, name: str, manifest: Manifest, spec: KnowledgeBaseSpec) -> ServerStore:
        """The generation in force. What is missing of it, such as an index of a new field, is made; what a death has
        left half done is finished."""
        backend = await self._ensure(name, manifest, spec)
        store = ServerStore(
            backend,
            manifest.shape.sparse.language,
            lambda: self._replaced(name, manifest.generation),
        )
        await store.sweep(time.time())
        self._opened.append(store)
        return store

    @asynccontextmanager
    async def filling(
        self, name: str, manifest: Manifest, spec: KnowledgeBaseSpec
    ) -> AsyncIterator[ServerFilling]:
        """A generation that is not in force."""
        backend = await self._ensure(name, manifest, spec)
        filling = ServerFilling(ServerStore(backend, manifest.shape.sparse.language), backend)
        try:
            yield filling
        finally:
            await filling.close()

    def searches_graph(self, manifest: Manifest) -> bool:
        """Where the server builds one, and a tenant has enough chunks for it."""
        return manifest.shape.dense.graph is not Graph.OFF

    async def close(self) -> None:
        """Waits for what is done in the background, and closes the connection."""
        for store in self._opened:
            await store.close()
        if self._connection is not None:
            await self._connection.close()

    async def _generations(self, name: str) -> ServerGenerations:
        async with self._connecting:
            if self._connection is None:
                self._connection = await connect(self._where, self._secrets_dir)
                for note in unsupported(self._connection.capabilities):
                    _LOG.warning("Qdrant at %s: %s", self._connection.address, note)
        return ServerGenerations(self._connection, name)

    async def _ensure(self, name: str, manifest: Manifest, spec: KnowledgeBaseSpec) -> ServerBackend:
        generations = await self._generations(name)
        for difference in await generations.create(manifest, spec.fields):
            _LOG.warning(
                "knowledge base %r: its collection differs until it is rebuilt: %s", name, difference
            )
        return generations.backend(manifest.generation)
