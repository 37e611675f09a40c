"""The adapters of each model server, each read once for each version of it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.statuses.lora_adapter import PLACED, LoRAAdapterStatus, NamedVersion
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import Resource, resource_of
from sluice_operator.kinds.lora_adapter.context import Sibling
from sluice_operator.kinds.lora_adapter.slots import taken
from sluice_operator.reconciling.mirror import Mirror

ADAPTERS = resource_of(LoRAAdapter)

Server = tuple[str, str]
"""Namespace and name of a `ModelServer`."""


@dataclass(frozen=True, slots=True)
class Known:
    """An adapter, as far as it concerns others."""

    sibling: Sibling
    """With the slots that its status has."""
    server: Server
    names: frozenset[str]
    """In engines, of the versions that its status has."""
    leaving: bool
    waits: bool
    """It is not where it ought to be, for want of slots."""
    turns: bool
    """Another version than the spec's is in rotation; the first one waits for no endpoints."""


class Siblings:
    """By server, and read once for each version: a server may have a thousand, each of which asks for all of them in
    each of its passes."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._known: dict[str, Known] = {}
        self._of: dict[Server, dict[str, Known]] = defaultdict(dict)
        #: Those that have changed since they were last asked for.
        self._new: dict[str, Manifest] = {
            manifest["metadata"]["uid"]: manifest for manifest in mirror.all(ADAPTERS)
        }
        mirror.hearers.append(self._hear)

    def of(self, server: Server) -> Sequence[Known]:
        """The adapters of a server, those that are being deleted among them."""
        self._catch_up()
        there = self._mirror.uids(ADAPTERS)
        return [known for uid, known in self._of.get(server, {}).items() if uid in there]

    def known(self, uid: str) -> Known | None:
        """The adapter of a uid, unless it is gone."""
        self._catch_up()
        return self._known.get(uid) if self._mirror.by_uid(ADAPTERS, uid) is not None else None

    def forget(self, uid: str) -> None:
        """An adapter is gone."""
        self._new.pop(uid, None)
        self._drop(uid)

    def _hear(self, resource: Resource, manifest: Manifest) -> None:
        if resource == ADAPTERS:
            self._new[manifest["metadata"]["uid"]] = manifest

    def _catch_up(self) -> None:
        for uid, manifest in self._new.items():
            known = _read(manifest)
            self._drop(uid)
            self._known[uid] = known
            self._of[known.server][uid] = known
        self._new.clear()

    def _drop(self, uid: str) -> None:
        known = self._known.pop(uid, None)
        if known is None:
            return
        there = self._of[known.server]
        there.pop(uid, None)
        if not there:
            del self._of[known.server]


def status_of(manifest: Manifest) -> LoRAAdapterStatus:
    """What the last pass said; nothing where another version wrote what this one cannot read."""
    try:
        return LoRAAdapterStatus.model_validate(manifest.get("status") or {})
    except ValidationError:
        return LoRAAdapterStatus()


def _read(manifest: Manifest) -> Known:
    metadata, spec, status = manifest["metadata"], manifest["spec"], status_of(manifest)
    placed = next((each for each in status.conditions if each.type == PLACED.name), None)
    versions = (status.resolved, status.in_rotation, status.previous)
    return Known(
        sibling=Sibling(
            uid=metadata["uid"],
            name=metadata["name"],
            model_name=spec.get("modelName") or "",
            created_at=metadata.get("creationTimestamp") or "",
            pods=taken(status),
        ),
        server=(metadata["namespace"], spec.get("modelServerRef") or ""),
        names=frozenset(each.engine_name for each in (*versions, *status.pods) if each),
        leaving=bool(metadata.get("deletionTimestamp")),
        turns=status.in_rotation is not None and _name(status.resolved) != _name(status.in_rotation),
        waits=placed is not None and placed.reason == "NoFreeSlots",
    )


def _name(version: NamedVersion | None) -> str:
    return version.engine_name if version else ""
