"""Where generations are kept: the protocol of the embedded engine and of a server."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from sluice_api.objects.knowledge_base import KnowledgeBaseSpec
from sluice_retriever.store.schema import Manifest
from sluice_retriever.store.store import Store


class Filling(Protocol):
    """A generation that is being filled beside the one in force."""

    @property
    def store(self) -> Store:
        """Takes its documents."""
        ...

    async def finish(self) -> None:
        """All is there but the last changes: builds what is built best at the end."""
        ...

    async def close(self) -> None:
        """Lets go of it; what is there stays."""
        ...


class Engine(Protocol):
    """Keeps generations of knowledge bases."""

    async def current(self, name: str) -> Manifest | None:
        """The generation of a knowledge base that is in force; None where there never was one.

        Raises:
            FailedPrecondition: it cannot be read.
        """
        ...

    async def names(self, name: str) -> list[str]:
        """All its generations' names, oldest first."""
        ...

    async def begun(self, name: str, current: Manifest) -> list[Manifest]:
        """Those after the one in force: begun, and not finished."""
        ...

    async def create(self, name: str, manifest: Manifest, spec: KnowledgeBaseSpec) -> None:
        """Makes an empty generation, whole or not at all."""
        ...

    async def put_in_force(self, name: str, manifest: Manifest) -> None:
        """Makes a generation the one in force, durably."""
        ...

    async def keep_only(self, name: str, *generations: str) -> None:
        """Removes all but these."""
        ...

    async def open(self, name: str, manifest: Manifest, spec: KnowledgeBaseSpec) -> Store:
        """The generation in force, or another in its place.

        Raises:
            FailedPrecondition: it cannot be opened.
        """
        ...

    def filling(
        self, name: str, manifest: Manifest, spec: KnowledgeBaseSpec
    ) -> AbstractAsyncContextManager[Filling]:
        """A generation that is not in force, open for the length of the block."""
        ...

    def searches_graph(self, manifest: Manifest) -> bool:
        """Whether a generation's dense vectors are searched by a graph rather than scanned."""
        ...

    async def close(self) -> None:
        """Lets go of everything."""
        ...
