"""What the gateway needs of a store of payloads: what runs are asked and what their steps give."""

from typing import Protocol

from sluice_api.objects.pipeline import Payloads
from sluice_servicekit.errors import Conflict

#: The name of what the run was asked. Every other payload has its step's name.
REQUEST = "request"


class PayloadNotRetained(Conflict):
    """The run's payloads were not kept, or their key is gone."""

    default_reason = "PAYLOAD_NOT_RETAINED"


class PayloadStore(Protocol):
    """Keeps what the journal does not hold."""

    async def keep(self, tenant: str, run_id: str, name: str, content: bytes, mode: Payloads) -> str:
        """Keeps a payload, durable when this returns; the same name again replaces it.

        Returns:
            A reference that says nothing of the content; empty where `mode` keeps nothing.
        """

    async def read(self, tenant: str, run_id: str, name: str) -> bytes:
        """A payload as it was kept.

        Raises:
            PayloadNotRetained: it was not kept, or its run's key has been destroyed.
        """

    async def names(self, tenant: str, run_id: str) -> list[str]:
        """The names of what can still be read of a run."""

    async def destroy(self, tenant: str, run_id: str) -> None:
        """Makes all payloads of a run unreadable for ever."""
