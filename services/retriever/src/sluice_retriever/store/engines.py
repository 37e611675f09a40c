"""The engine of each deployment."""

from pathlib import Path

from sluice_api.objects.knowledge_base import Deployment, SelfHosted
from sluice_retriever.store.edge.engine import EdgeEngine
from sluice_retriever.store.engine import Engine
from sluice_retriever.store.server.engine import Replaced, ServerEngine


class Engines:
    """The embedded engine, and one for every server that a knowledge base names.

    Args:
        embedded: The embedded one.
        secrets_dir: Holds the servers' API keys.
    """

    def __init__(self, embedded: EdgeEngine, secrets_dir: Path | None = None) -> None:
        self._embedded = embedded
        self._secrets_dir = secrets_dir
        self._servers: dict[SelfHosted, ServerEngine] = {}
        self._replaced: Replaced = lambda name, generation: None

    def when_replaced(self, listener: Replaced) -> None:
        """Calls the listener with a knowledge base and its generation that is gone: another replica has rebuilt it."""
        self._replaced = listener

    def of(self, deployment: Deployment) -> Engine:
        """The engine of a deployment."""
        where = deployment.self_hosted
        if where is None:
            return self._embedded
        if where not in self._servers:
            self._servers[where] = ServerEngine(
                where, self._secrets_dir, lambda name, generation: self._replaced(name, generation)
            )
        return self._servers[where]

    async def close(self) -> None:
        """Closes all engines."""
        await self._embedded.close()
        for server in self._servers.values():
            await server.close()
