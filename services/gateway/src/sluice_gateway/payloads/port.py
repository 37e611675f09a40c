"""What the gateway needs of a store of payloads: what runs are asked and what their steps give."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sluice_api.objects.pipeline import Payloads
from sluice_servicekit.errors import Conflict, Internal, InvalidArgument

#: The name of what the run was asked. Every other payload has its step's name.
REQUEST = "request"

#: Seconds that sealed payloads can be read, where nobody says otherwise.
RETENTION = 86400.0

#: The largest payload, in bytes.
MAX_BYTES = 8 << 20


class PayloadNotRetained(Conflict):
    """The run's payloads were not kept, or their key is gone."""

    default_reason = "PAYLOAD_NOT_RETAINED"


class PayloadTooLarge(InvalidArgument):
    """It has more than `MAX_BYTES`."""

    default_reason = "PAYLOAD_TOO_LARGE"


class PayloadTampered(Internal):
    """What the store holds is not what was kept there."""

    default_reason = "PAYLOAD_TAMPERED"


@dataclass(frozen=True, slots=True)
class Payload:
    """What is to be kept."""

    tenant: str
    run_id: str
    name: str
    content: bytes
    mode: Payloads
    retention: float = RETENTION
    """Seconds that it can be read, where it is sealed."""


class PayloadStore(Protocol):
    """Keeps what the journal does not hold."""

    async def keep(
        self,
        tenant: str,
        run_id: str,
        name: str,
        content: bytes,
        mode: Payloads,
        *,
        retention: float = RETENTION,
    ) -> str:
        """Keeps a payload, durable when this returns; the same name again replaces it.

        Args:
            retention: Seconds that it can be read, where it is sealed. All payloads of a run live as long as the one
                that lives longest.

        Returns:
            A reference that says nothing of the content; empty where `mode` keeps nothing.

        Raises:
            PayloadTooLarge: it has more than `MAX_BYTES`.
        """

    async def keep_many(self, payloads: Sequence[Payload]) -> list[str]:
        """Keeps several at once, all or none; see `keep`. Their references, in their order."""

    async def read(self, tenant: str, run_id: str, name: str) -> bytes:
        """A payload as it was kept.

        Raises:
            PayloadNotRetained: it was not kept, or its run's key has been destroyed.
            PayloadTampered: somebody has changed what was kept.
        """

    async def names(self, tenant: str, run_id: str) -> list[str]:
        """The names of what can still be read of a run."""

    async def destroy(self, tenant: str, run_id: str) -> None:
        """Makes all payloads of a run unreadable for ever."""


def reference(payload: Payload) -> str:
    """What others remember of a payload; empty where nothing is kept.

    Raises:
        PayloadTooLarge: it cannot be kept.
    """
    if payload.mode is Payloads.NONE:
        return ""
    if len(payload.content) > MAX_BYTES:
        raise PayloadTooLarge(
            f"the payload {payload.name!r} has {len(payload.content)} bytes, and {MAX_BYTES} is the most that is kept; "
            "ask for less, or set payloads: none in the Pipeline",
            field=payload.name,
        )
    return f"{payload.run_id}/{payload.name}"


def not_retained(run_id: str, name: str) -> PayloadNotRetained:
    """What is said of a payload that cannot be read."""
    return PayloadNotRetained(f"the run {run_id} has no payload {name!r} that can be read")
