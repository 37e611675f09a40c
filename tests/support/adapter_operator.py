"""An operator that looks after adapters alone; `python -m support.adapter_operator` runs one as a process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sluice_operator.agents.fleet import Fleet
from sluice_operator.agents.settings import FleetSettings
from sluice_operator.assembly import Dependencies
from sluice_operator.kinds.lora_adapter.kind import LoRAAdapterKind
from sluice_operator.reconciling.kind import Kind
from support.api_server import ApiServer
from support.operator_process import operator_process, running_operator

#: Shorter than a user's, so that tests need not wait.
PACES = FleetSettings(interval=1.0)


class Adapters:
    """Builds the kind and its fleet; the fleet of the last operator that was built is there to be looked at."""

    def __init__(self) -> None:
        self.fleet: Fleet | None = None

    def __call__(self, given: Dependencies) -> list[Kind[Any, Any]]:
        settings = replace(PACES, port=given.settings.agent_port)
        self.fleet = Fleet(given.cluster, given.mirror, given.wakeups.wake, settings, given.clock)
        return [LoRAAdapterKind(given.mirror, self.fleet, given.clock)]


@asynccontextmanager
async def adapter_operator(
    server: ApiServer, namespace: str, port: int, **settings: Any
) -> AsyncIterator[Adapters]:
    """An operator in this process, for the length of the block."""
    adapters = Adapters()
    try:
        async with running_operator(server, adapters, namespace, agent_port=port, **settings):
            yield adapters
    finally:
        if adapters.fleet:
            await adapters.fleet.close()


def adapter_process(
    server: ApiServer, namespace: str, port: int, log: Path
) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """An operator as a process, for the length of the block; it logs all there is to be logged."""
    return operator_process(
        server,
        log,
        "support.adapter_operator",
        namespaces=f'["{namespace}"]',
        agent_port=port,
        log_level="DEBUG",
    )


if __name__ == "__main__":
    from sluice_operator.process import run_process

    run_process(Adapters())
