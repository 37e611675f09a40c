"""The engine of each deployment."""

from sluice_api.objects.knowledge_base import Deployment
from sluice_retriever.store.edge.engine import EdgeEngine
from sluice_retriever.store.engine import Engine
from sluice_servicekit.errors import FailedPrecondition


class Engines:
    """The embedded engine, and one for every server that a knowledge base names.

    Args:
        embedded: The embedded one.
    """

    def __init__(self, embedded: EdgeEngine) -> None:
        self._embedded = embedded

    def of(self, deployment: Deployment) -> Engine:
        """The engine of a deployment."""
        if deployment.self_hosted is not None:
            raise FailedPrecondition(
                "deployment.selfHosted is not there in this version", reason="ENGINE_NOT_THERE"
            )
        return self._embedded

    async def close(self) -> None:
        """Closes all engines."""
        await self._embedded.close()
