"""`ModelServer`, for the loop."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar

from sluice_api.objects.base import SluiceObject
from sluice_api.objects.model_server import ModelServer
from sluice_operator.agents.protocol import Agents
from sluice_operator.cluster.protocol import Cluster, Manifest
from sluice_operator.cluster.resources import (
    AUTOSCALERS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    NETWORK_POLICIES,
    PODS,
    SCALED_OBJECTS,
    SECRETS,
    SERVICES,
    Resource,
)
from sluice_operator.kinds.model_server import observing, planning
from sluice_operator.kinds.model_server.context import Context, Settings
from sluice_operator.kinds.model_server.gathering import Gatherer, new_token
from sluice_operator.kinds.model_server.serving import LORA_ADAPTERS, server_of
from sluice_operator.reconciling.kind import Item, Kind, Observation, Plan
from sluice_operator.reconciling.labels import MODEL_SERVER, OWNER_UID
from sluice_operator.reconciling.mirror import Mirror


class ModelServerKind(Kind[ModelServer, Context]):
    """vLLM pods and what belongs to them; of servers that run elsewhere, nothing.

    Args:
        settings: What is the same for all servers.
        clock: Seconds since the epoch.
        make_token: A new token for agents, as text.
    """

    model: ClassVar[type[SluiceObject]] = ModelServer
    applies: ClassVar[tuple[Resource, ...]] = (
        NETWORK_POLICIES,
        SECRETS,
        SERVICES,
        DISRUPTION_BUDGETS,
        DEPLOYMENTS,
        AUTOSCALERS,
        SCALED_OBJECTS,
    )
    listens: ClassVar[tuple[Resource, ...]] = (PODS, LORA_ADAPTERS, SECRETS)
    selectors: ClassVar[Mapping[Resource, str]] = {
        PODS: MODEL_SERVER,
        # Helm's releases are Secrets of a megabyte, and none that a server could name.
        SECRETS: "owner!=helm",
    }

    def __init__(
        self,
        cluster: Cluster,
        mirror: Mirror,
        agents: Agents,
        settings: Settings,
        clock: Callable[[], float] = time.time,
        make_token: Callable[[], str] = new_token,
    ) -> None:
        self._gatherer = Gatherer(cluster, mirror, agents, settings, clock, make_token)

    async def gather(self, item: Item[ModelServer]) -> Context:
        """Everything that a pass depends on."""
        return await self._gatherer.gather(item)

    def plan(self, item: Item[ModelServer], context: Context) -> Plan:
        """The children."""
        return planning.plan(item, context)

    def observe(self, item: Item[ModelServer], context: Context, children: Sequence[Manifest]) -> Observation:
        """The status."""
        return observing.observe(item, context, children)

    def concerned(self, changed: Manifest, resource: Resource, mirror: Mirror) -> Iterable[str]:
        """The server of a pod or of an adapter, and all that name a Secret."""
        metadata = changed["metadata"]
        namespace = metadata["namespace"]
        if resource == PODS:
            owner = (metadata.get("labels") or {}).get(OWNER_UID)
            return (owner,) if owner else ()
        if resource == LORA_ADAPTERS:
            server = mirror.get(self.resource, namespace, server_of(changed))
            return (server["metadata"]["uid"],) if server is not None else ()
        return [
            server["metadata"]["uid"]
            for server in mirror.all(self.resource, namespace)
            if metadata["name"] in secrets_of(server)
        ]

    def forgotten(self, item_uid: str) -> None:
        """The server is gone."""
        self._gatherer.forget(item_uid)


def secrets_of(server: Manifest) -> frozenset[str]:
    """The names of the Secrets that a server's spec names, read without parsing it: this is asked of every server
    whenever any Secret changes."""
    vllm = (server.get("spec") or {}).get("vllm") or {}
    agent = vllm.get("agent") or {}
    variables = [*(vllm.get("env") or ()), *(agent.get("env") or ())]
    references = [((each.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name") for each in variables]
    names = [vllm.get("apiKeySecret"), *(agent.get("sourceSecrets") or {}).values(), *references]
    return frozenset(name for name in names if name)
