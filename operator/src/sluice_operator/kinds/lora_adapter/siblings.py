"""The adapters of each model server, each read once for each version of it."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.statuses.lora_adapter import PLACED, LoRAAdapterStatus, NamedVersion
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import resource_of
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
    """Another version than the spec's is in rotation."""


class Siblings:
    """Reads what has changed in the mirror, and nothing twice: a pass costs a look at each adapter."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._read: dict[str, tuple[Manifest, Known]] = {}

    def of(self, server: Server) -> Iterator[Known]:
        """The adapters of a server, those that are being deleted among them."""
        namespace, name = server
        for manifest in self._mirror.all(ADAPTERS, namespace):
            if manifest["spec"].get("modelServerRef") == name:
                yield self._known(manifest)

    def known(self, uid: str) -> Known | None:
        """The adapter of a uid, unless it is gone."""
        manifest = self._mirror.by_uid(ADAPTERS, uid)
        return None if manifest is None else self._known(manifest)

    def forget(self, uid: str) -> None:
        """An adapter is gone."""
        self._read.pop(uid, None)

    def _known(self, manifest: Manifest) -> Known:
        uid = manifest["metadata"]["uid"]
        entry = self._read.get(uid)
        if entry is None or entry[0] is not manifest:
            entry = self._read[uid] = manifest, _read(manifest)
        return entry[1]


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
        turns=_name(status.resolved) != _name(status.in_rotation),
        waits=placed is not None and placed.reason == "NoFreeSlots",
    )


def _name(version: NamedVersion | None) -> str:
    return version.engine_name if version else ""
