"""Builds the kinds from what all of them share."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice_operator.agents.fleet import Fleet
from sluice_operator.agents.settings import FleetSettings
from sluice_operator.cluster.protocol import Cluster
from sluice_operator.kinds.adapter_experiment.kind import AdapterExperiments
from sluice_operator.kinds.guardrail_policy.kind import GuardrailPolicyKind
from sluice_operator.kinds.lora_adapter.kind import LoRAAdapterKind
from sluice_operator.kinds.model_server.context import Settings as ModelServerSettings
from sluice_operator.kinds.model_server.kind import ModelServerKind
from sluice_operator.kinds.pipeline.kind import PipelineKind
from sluice_operator.outcomes.gateway import GatewayOutcomes
from sluice_operator.reconciling.kind import Kind
from sluice_operator.reconciling.mirror import Mirror
from sluice_operator.reconciling.wakeups import Wakeups
from sluice_operator.settings import OperatorSettings
from sluice_operator.snapshots.distributor import Distributor
from sluice_operator.snapshots.last_good import LastGood
from sluice_operator.snapshots.serving import serve_snapshots

_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

Kinds = Sequence[Kind[Any, Any]]


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What kinds are made of."""

    settings: OperatorSettings
    cluster: Cluster
    mirror: Mirror
    wakeups: Wakeups
    synced: Callable[[], Awaitable[None]]
    """Returns once the mirror has been filled."""
    clock: Callable[[], float] = time.time
    """Seconds since the epoch."""


#: Builds all kinds, and takes down on leaving what they are made of. Entered once the process does the work, and not
#: while it stands by.
BuildKinds = Callable[[Dependencies], AbstractAsyncContextManager[Kinds] | Kinds]


@asynccontextmanager
async def build_kinds(given: Dependencies) -> AsyncIterator[Kinds]:
    """All kinds there are, with the fleet of adapter agents and the snapshot server beside them.

    Raises:
        FailedPrecondition: the snapshot server's address cannot be bound.
    """
    settings, cluster, mirror, clock = given.settings, given.cluster, given.mirror, given.clock
    own = own_namespace(settings)
    outcomes = (
        GatewayOutcomes(settings.gateway_url, settings.gateway_key_file) if settings.gateway_url else None
    )
    fleet = Fleet(cluster, mirror, given.wakeups.wake, FleetSettings(port=settings.agent_port), clock)
    distributor = Distributor(mirror, given.wakeups, LastGood(cluster, own))
    async with fleet, serve_snapshots(distributor, settings.listen, given.synced):
        yield (
            ModelServerKind(cluster, mirror, fleet, ModelServerSettings(settings.agent_image, own), clock),
            LoRAAdapterKind(mirror, fleet, clock),
            AdapterExperiments(cluster, mirror, outcomes, clock),
            GuardrailPolicyKind(distributor),
            PipelineKind(distributor, mirror),
        )


def own_namespace(settings: OperatorSettings) -> str:
    """The namespace that this process runs in."""
    if settings.own_namespace:
        return settings.own_namespace
    try:
        return _NAMESPACE.read_text().strip() or "default"
    except OSError:
        return "default"
