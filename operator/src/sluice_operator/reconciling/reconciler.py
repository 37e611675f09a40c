"""One pass: gather → plan → apply → prune → act → observe → status."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from sluice_api.objects.base import SluiceObject
from sluice_api.statuses.base import Status
from sluice_operator.cluster.protocol import Cluster, Manifest
from sluice_operator.reconciling.kind import Item, Kind, Leaving
from sluice_operator.reconciling.labels import MANAGED_BY, OPERATOR, OWNER_UID
from sluice_operator.reconciling.mirror import Mirror


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a pass ended."""

    failed: bool = False
    again_in: float | None = None


class Reconciler:
    """Runs passes for objects of any kind."""

    def __init__(self, cluster: Cluster, mirror: Mirror, clock: Callable[[], float] = time.time) -> None:
        self._cluster = cluster
        self._mirror = mirror
        self._clock = clock

    async def run_once(self, kind: Kind[Any, Any], uid: str) -> Outcome:
        """One pass; never raises but for cancellation."""
        body = self._mirror.by_uid(kind.resource, uid)
        if body is None or body["metadata"].get("deletionTimestamp"):
            return Outcome()
        item = parse(kind.model, body)
        context = await kind.gather(item)
        plan = kind.plan(item, context)
        children = [await self._cluster.apply(resource, manifest) for resource, manifest in plan.manifests]
        await self._prune(kind, item, {str(child["metadata"]["uid"]) for child in children})
        await kind.act(item, context, plan)
        observation = kind.observe(item, context, children)
        await self._tell(kind, body, observation.status)
        return Outcome(again_in=observation.again_in)

    async def leave_once(self, kind: Kind[Any, Any], uid: str) -> Leaving:
        """One pass of a deletion."""
        body = self._mirror.by_uid(kind.resource, uid)
        if body is None:
            return Leaving(done=True)
        item = parse(kind.model, body)
        leaving = await kind.leave(item, await kind.gather(item))
        if leaving.status is not None and not leaving.done:
            await self._tell(kind, body, leaving.status)
        return leaving

    async def _prune(self, kind: Kind[Any, Any], item: Item[Any], wanted: set[str]) -> None:
        for resource in kind.applies:
            labels = {MANAGED_BY: OPERATOR, OWNER_UID: item.uid}
            for child in await self._cluster.list(resource, item.namespace, labels):
                metadata = child["metadata"]
                if metadata["uid"] not in wanted:
                    await self._cluster.delete(
                        resource, item.namespace, metadata["name"], uid=metadata["uid"]
                    )

    async def _tell(self, kind: Kind[Any, Any], body: Manifest, status: Status) -> None:
        metadata = body["metadata"]
        manifest = {
            "apiVersion": kind.resource.api_version,
            "kind": kind.resource.kind,
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        self._mirror.put(kind.resource, await self._cluster.apply_status(kind.resource, manifest))


def parse(model: type[SluiceObject], body: Manifest) -> Item[Any]:
    """A custom resource into what a pass works on.

    Raises:
        ValidationError: the API server has let through what the model does not.
    """
    metadata = body["metadata"]
    deleted = metadata.get("deletionTimestamp")
    return Item(
        object=model.model_validate(dict(body)),
        uid=str(metadata["uid"]),
        generation=int(metadata.get("generation") or 0),
        deleted_at=datetime.fromisoformat(deleted).timestamp() if deleted else None,
    )


__all__ = ["Outcome", "Reconciler", "ValidationError", "parse"]
