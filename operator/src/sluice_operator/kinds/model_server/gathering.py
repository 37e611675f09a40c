"""Everything that a pass over a model server depends on: the only reading."""

import base64
import binascii
import secrets as random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from sluice_api.objects.model_server import ModelServer
from sluice_api.statuses.model_server import ModelServerStatus
from sluice_operator.agents.protocol import Agents
from sluice_operator.cluster.protocol import Cluster, Manifest
from sluice_operator.cluster.resources import (
    DEPLOYMENTS,
    PODS,
    SCALED_OBJECTS,
    SECRETS,
    Resource,
)
from sluice_operator.kinds.model_server import autoscaling, layout, names
from sluice_operator.kinds.model_server.context import Context, Settings
from sluice_operator.kinds.model_server.planning import wanted
from sluice_operator.kinds.model_server.secrets import named, resolved
from sluice_operator.kinds.model_server.serving import Servings
from sluice_operator.reconciling.kind import Item
from sluice_operator.reconciling.labels import OWNER_UID, is_owned
from sluice_operator.reconciling.mirror import Mirror
from sluice_servicekit.errors import NotFound, Unimplemented

#: Bytes of a new token, and the fewest that one that is there may have.
_TOKEN: Final = 48
_LEAST: Final = 32


def new_token() -> str:
    """A token, as text."""
    return random.token_urlsafe(_TOKEN)


class Gatherer:
    """Reads for passes.

    Args:
        clock: Seconds since the epoch.
        make_token: A new token for agents.
    """

    def __init__(
        self,
        cluster: Cluster,
        mirror: Mirror,
        agents: Agents,
        settings: Settings,
        clock: Callable[[], float],
        make_token: Callable[[], str] = new_token,
    ) -> None:
        self._cluster = cluster
        self._mirror = mirror
        self._agents = agents
        self._settings = settings
        self._clock = clock
        self._make_token = make_token
        self._servings = Servings(mirror)
        self._scaled: set[str] = set()
        """Uids of the servers whose autoscaler has said how many pods there are."""
        self._told: dict[str, _Told] = {}
        """By uid."""

    async def gather(self, item: Item[ModelServer]) -> Context:
        """For one pass."""
        now, server = self._clock(), item.object
        status = _status(server)
        vllm = server.spec.vllm
        if vllm is None:
            return Context(now, self._settings, status, self._told_at(item, now))
        children = {
            (resource, name): await self._child(item, resource, name) for resource, name in wanted(server)
        }
        owned = {
            key: child for key, child in children.items() if child is not None and is_owned(child, item.uid)
        }
        name = server.metadata.name
        scaled, deployment = await self._scaling(item, owned.get((DEPLOYMENTS, names.child(name))))
        token = self._token(owned.get((SECRETS, names.agent_secret(name))))
        found = {secret: await self._read(SECRETS, item.namespace, secret) for secret, _, _ in named(vllm)}
        return Context(
            now,
            self._settings,
            status,
            self._told_at(item, now),
            token=token,
            secrets=resolved(vllm, found),
            deployment=deployment,
            scaled=scaled,
            taken=frozenset(key for key, child in children.items() if child is not None and key not in owned),
            keda=await self._knows_keda(item, children),
            pods=tuple(sorted(self._mirror.owned(PODS, item.uid), key=_name)),
            agents={view.uid: view for view in self._agents.pods(item.namespace, name)},
            adapters=tuple(self._servings.of_server(item.uid, item.namespace, name)),
        )

    def forget(self, uid: str) -> None:
        """The server is gone."""
        self._told.pop(uid, None)
        self._scaled.discard(uid)
        self._servings.forget(uid)

    async def _child(self, item: Item[ModelServer], resource: Resource, name: str) -> Manifest | None:
        if resource == SCALED_OBJECTS:
            try:
                return await self._read(resource, item.namespace, name)
            except (NotFound, Unimplemented):
                return None
        return await self._read(resource, item.namespace, name)

    async def _read(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        """By the mirror, where it has the object; it has not all that there are."""
        known = self._mirror.get(resource, namespace, name)
        return known if known is not None else await self._cluster.get(resource, namespace, name)

    async def _knows_keda(
        self, item: Item[ModelServer], children: Mapping[tuple[Resource, str], Manifest | None]
    ) -> bool:
        asked = [child for (resource, _), child in children.items() if resource == SCALED_OBJECTS]
        if not asked or asked[0] is not None:
            return True
        try:
            await self._cluster.list(SCALED_OBJECTS, item.namespace, {OWNER_UID: item.uid})
        except (NotFound, Unimplemented):
            return False
        return True

    async def _scaling(
        self, item: Item[ModelServer], deployment: Manifest | None
    ) -> tuple[bool, Manifest | None]:
        """Whether the autoscaler has said how many pods there are, and the Deployment as it is just now where it has
        not: what it says in between must not be overruled."""
        vllm = item.object.spec.vllm
        if vllm is None or vllm.autoscaling is None or deployment is None:
            self._scaled.discard(item.uid)
            return False, deployment
        if item.uid not in self._scaled:
            # The mirror holds no managedFields.
            live = await self._cluster.get(DEPLOYMENTS, item.namespace, deployment["metadata"]["name"])
            if live is None or not autoscaling.said_by_another(live):
                return False, live
            self._scaled.add(item.uid)
        return True, deployment

    def _token(self, secret: Manifest | None) -> str:
        """What the Secret has; a new one where it has none that would do."""
        held = str(((secret or {}).get("data") or {}).get(layout.TOKEN_KEY) or "")
        try:
            if len(base64.b64decode(held, validate=True)) >= _LEAST:
                return held
        except binascii.Error:
            pass
        return base64.b64encode(self._make_token().encode()).decode()

    def _told_at(self, item: Item[ModelServer], now: float) -> float:
        """A status that was not there at the last pass's start was written at its end."""
        known = self._told.get(item.uid)
        told_at = 0.0 if known is None else known.told_at
        if known is not None and known.status != item.object.status:
            told_at = known.passed_at
        self._told[item.uid] = _Told(item.object.status, told_at, now)
        return told_at


def _status(server: ModelServer) -> ModelServerStatus:
    """As it was told; nothing where another version has told what this one cannot read."""
    try:
        return ModelServerStatus.model_validate(server.status)
    except ValidationError:
        return ModelServerStatus()


def _name(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])


@dataclass(frozen=True, slots=True)
class _Told:
    status: Mapping[str, Any]
    """As the last pass found it."""
    told_at: float
    """When it was written."""
    passed_at: float
    """When the last pass began."""
