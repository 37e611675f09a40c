"""Generations of a knowledge base on a server: collections `<knowledge base>--<generation>`, and an alias named like
the knowledge base at the one in force."""

from collections.abc import Sequence

from pydantic import ValidationError
from qdrant_client import models

from sluice_api.objects.knowledge_base import MetadataField
from sluice_retriever.store.schema import FORMAT, Manifest
from sluice_retriever.store.server.backend import ServerBackend
from sluice_retriever.store.server.collections import MANIFEST, ensure
from sluice_retriever.store.server.connection import Connection
from sluice_servicekit.errors import FailedPrecondition


class ServerGenerations:
    """The generations of one knowledge base.

    Args:
        connection: The server.
        name: The knowledge base.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name

    def backend(self, generation: str) -> ServerBackend:
        """A generation's points."""
        return ServerBackend(self._connection, self._collection(generation))

    async def current(self) -> Manifest | None:
        """The generation in force; None where there never was one.

        Raises:
            FailedPrecondition: it was written by another version, or not by this program.
        """
        generation = await self._in_force()
        return None if generation is None else await self._read(generation)

    async def names(self) -> list[str]:
        """All generations, oldest first; none where none was ever in force: replicas that start together have to name
        the first one alike."""
        return await self._collections() if await self._in_force() is not None else []

    async def after(self, generation: str) -> list[Manifest]:
        """Generations after this one, oldest first."""
        return [await self._read(name) for name in await self._collections() if name > generation]

    async def create(self, manifest: Manifest, fields: Sequence[MetadataField]) -> tuple[str, ...]:
        """Makes an empty generation, or what is missing of it; gives what `ensure` gives.

        Raises:
            FailedPrecondition: another one of that name is there.
        """
        drift = await ensure(self.backend(manifest.generation), manifest, fields)
        if await self._read(manifest.generation) != manifest:
            raise _unreadable(self._collection(manifest.generation), "it was made with other settings")
        return drift

    async def put_in_force(self, generation: str) -> None:
        """Makes a generation the one in force, in one step: no search falls between two."""
        aim = models.CreateAlias(collection_name=self._collection(generation), alias_name=self._name)
        operations: list[models.AliasOperations] = [models.CreateAliasOperation(create_alias=aim)]
        if await self._in_force() is not None:
            release = models.DeleteAlias(alias_name=self._name)
            operations.insert(0, models.DeleteAliasOperation(delete_alias=release))
        await self._connection.run(self._connection.client.update_collection_aliases(operations))

    async def keep_only(self, *generations: str) -> None:
        """Removes all but these and the one in force, which another replica may have put there."""
        current = await self._in_force()
        for name in await self.names():
            if name not in generations and name != current:
                call = self._connection.client.delete_collection(self._collection(name))
                await self._connection.run(call)

    def _collection(self, generation: str) -> str:
        return f"{self._name}--{generation}"

    async def _in_force(self) -> str | None:
        found = await self._connection.run(self._connection.client.get_aliases())
        for alias in found.aliases:
            if alias.alias_name == self._name:
                return alias.collection_name.removeprefix(self._collection(""))
        return None

    async def _collections(self) -> list[str]:
        prefix = self._collection("")
        found = await self._connection.run(self._connection.client.get_collections())
        names = (described.name for described in found.collections if described.name.startswith(prefix))
        # `a--b--g000001` is of the knowledge base `a--b`, not of `a`.
        return sorted(rest for rest in (name.removeprefix(prefix) for name in names) if "--" not in rest)

    async def _read(self, generation: str) -> Manifest:
        name = self._collection(generation)
        info = await self._connection.run(self._connection.client.get_collection(name))
        try:
            manifest = Manifest.model_validate((info.config.metadata or {}).get(MANIFEST))
        except ValidationError as error:
            raise _unreadable(name, "it has no manifest of this program's") from error
        if manifest.format != FORMAT:
            raise _unreadable(name, f"it has format {manifest.format}, not {FORMAT}")
        return manifest


def _unreadable(collection: str, why: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"collection {collection!r} cannot be opened: {why}; remove it and ingest its documents again",
        reason="KNOWLEDGE_BASE_CANNOT_BE_OPENED",
    )
