"""Payloads that live as long as the process."""

from sluice_api.objects.pipeline import Payloads
from sluice_gateway.payloads.port import PayloadNotRetained


class MemoryPayloads:
    """`PayloadStore` in memory."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], dict[str, bytes]] = {}

    async def keep(self, tenant: str, run_id: str, name: str, content: bytes, mode: Payloads) -> str:
        """Keeps a payload; see `PayloadStore.keep`."""
        if mode is Payloads.NONE:
            return ""
        self._kept.setdefault((tenant, run_id), {})[name] = content
        return f"{run_id}/{name}"

    async def read(self, tenant: str, run_id: str, name: str) -> bytes:
        """A payload as it was kept; see `PayloadStore.read`."""
        try:
            return self._kept[tenant, run_id][name]
        except KeyError:
            raise PayloadNotRetained(f"the run {run_id} has no payload {name!r} that can be read") from None

    async def names(self, tenant: str, run_id: str) -> list[str]:
        """The names of what can still be read of a run."""
        return sorted(self._kept.get((tenant, run_id), ()))

    async def destroy(self, tenant: str, run_id: str) -> None:
        """Makes all payloads of a run unreadable for ever."""
        self._kept.pop((tenant, run_id), None)
