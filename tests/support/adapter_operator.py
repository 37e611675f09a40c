"""An operator that looks after adapters alone: `python -m support.adapter_operator`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from sluice_operator.agents.fleet import Fleet
from sluice_operator.agents.settings import FleetSettings
from sluice_operator.assembly import Dependencies, Kinds
from sluice_operator.kinds.lora_adapter.kind import LoRAAdapterKind
from support.api_server import ApiServer
from support.operator_process import operator_process

#: Shorter than a user's, so that tests need not wait.
PACES = FleetSettings(interval=1.0)


@asynccontextmanager
async def build_adapters(given: Dependencies) -> AsyncIterator[Kinds]:
    """Adapters alone, and the agents of their pods."""
    settings = replace(PACES, port=given.settings.agent_port)
    async with Fleet(given.cluster, given.mirror, given.wakeups.wake, settings, given.clock) as fleet:
        yield [LoRAAdapterKind(given.mirror, fleet, given.clock)]


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

    run_process(build_adapters)
