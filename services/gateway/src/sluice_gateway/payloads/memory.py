"""Payloads that live as long as the process."""

from collections.abc import Sequence

from sluice_api.objects.pipeline import Payloads
from sluice_gateway.payloads.port import RETENTION, Payload, not_retained, reference


class MemoryPayloads:
    """`PayloadStore` in memory."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], dict[str, bytes]] = {}

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
        """Keeps a payload; see `PayloadStore.keep`."""
        return (await self.keep_many([Payload(tenant, run_id, name, content, mode, retention)]))[0]

    async def keep_many(self, payloads: Sequence[Payload]) -> list[str]:
        """Keeps several at once; see `PayloadStore.keep_many`."""
        references = [reference(payload) for payload in payloads]
        for payload in payloads:
            if payload.mode is not Payloads.NONE:
                self._kept.setdefault((payload.tenant, payload.run_id), {})[payload.name] = payload.content
        return references

    async def read(self, tenant: str, run_id: str, name: str) -> bytes:
        """A payload as it was kept; see `PayloadStore.read`."""
        try:
            return self._kept[tenant, run_id][name]
        except KeyError:
            raise not_retained(run_id, name) from None

    async def names(self, tenant: str, run_id: str) -> list[str]:
        """The names of what can still be read of a run."""
        return sorted(self._kept.get((tenant, run_id), ()))

    async def destroy(self, tenant: str, run_id: str) -> None:
        """Makes all payloads of a run unreadable for ever."""
        self._kept.pop((tenant, run_id), None)
