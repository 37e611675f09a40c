"""An operator of Pipelines and GuardrailPolicies in this process, with its snapshot server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sluice_operator.assembly import Dependencies
from sluice_operator.kinds.guardrail_policy.kind import GuardrailPolicyKind
from sluice_operator.kinds.pipeline.kind import PipelineKind
from sluice_operator.reconciling.kind import Kind
from sluice_operator.snapshots.distributor import Distributor
from sluice_operator.snapshots.last_good import LastGood
from sluice_operator.snapshots.serving import serve_snapshots
from support.api_server import ApiServer
from support.operator_process import running_operator


@asynccontextmanager
async def snapshot_operator(server: ApiServer, namespace: str, listen: str) -> AsyncIterator[Distributor]:
    """It looks after one namespace, and keeps its last good copy there, for the length of the block.

    Args:
        listen: `host:port` of the snapshot server.
    """
    made: list[Distributor] = []

    def build(dependencies: Dependencies) -> list[Kind[Any, Any]]:
        last_good = LastGood(dependencies.cluster, namespace)
        made.append(Distributor(dependencies.mirror, dependencies.wakeups, last_good))
        return [PipelineKind(made[0], dependencies.mirror), GuardrailPolicyKind(made[0])]

    async def filled() -> None:
        """The block of a running operator begins once it is."""

    async with (
        running_operator(server, build, namespace),
        serve_snapshots(made[0], listen, filled),
    ):
        yield made[0]
