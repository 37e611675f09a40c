"""A kind of object for tests of the loop: each entry of a toy is a ConfigMap."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from pydantic import Field

from sluice_api.objects.base import Model, SluiceObject
from sluice_api.statuses.base import READY, READY_REASONS, ConditionType, Status
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import CONFIG_MAPS, Resource
from sluice_operator.reconciling import labels
from sluice_operator.reconciling.kind import Item, Kind, Leaving, Observation, Plan
from sluice_operator.reconciling.mirror import Mirror


class ToySpec(Model):
    """Entries by name; each value is a ConfigMap's `data.value`."""

    entries: dict[str, str] = Field(default_factory=dict)
    limit: int = Field(default=10, le=10)
    """Lower than the CRD's own, so that the API server lets through what the model does not."""
    hold: bool = False
    """Deletion waits until this is false."""
    stays: bool = False
    """ConfigMaps are immutable."""


class Toy(SluiceObject):
    """A toy."""

    KIND: ClassVar[str] = "Toy"
    SHORT_NAME: ClassVar[str] = "toy"
    PLURAL: ClassVar[str] = "toys"

    spec: ToySpec


class ToyStatus(Status):
    """How many ConfigMaps there are."""

    made: int = 0
    heard: str = ""


_READY = ConditionType(
    READY, "All is there.", {"Made": "so", "Empty": "nothing to make"} | dict(READY_REASONS)
)

CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "toys.sluice.dev"},
    "spec": {
        "group": "sluice.dev",
        "scope": "Namespaced",
        "names": {"kind": "Toy", "plural": "toys", "singular": "toy"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "entries": {
                                        "type": "object",
                                        "additionalProperties": {"type": "string"},
                                    },
                                    "limit": {"type": "integer"},
                                    "hold": {"type": "boolean"},
                                    "stays": {"type": "boolean"},
                                },
                            },
                            "status": {
                                "type": "object",
                                "properties": {
                                    "observedGeneration": {"type": "integer"},
                                    "made": {"type": "integer"},
                                    "heard": {"type": "string"},
                                    "conditions": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["type"],
                                        "items": {
                                            "type": "object",
                                            "required": ["type", "status"],
                                            "x-kubernetes-preserve-unknown-fields": True,
                                            "properties": {
                                                "type": {"type": "string"},
                                                "status": {"type": "string"},
                                            },
                                        },
                                    },
                                },
                            },
                        },
                    }
                },
            }
        ],
    },
}


def toy(name: str, namespace: str, **spec: Any) -> dict[str, Any]:
    """A toy as kubectl sends it."""
    return {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "Toy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


class ToyKind(Kind[Toy, str]):
    """Counts its passes; `fails` may raise in `gather`."""

    model = Toy
    applies = (CONFIG_MAPS,)

    def __init__(self, fails: Callable[[Item[Toy]], None] = lambda item: None) -> None:
        self.fails = fails
        self.passes = 0
        self.forgot: list[str] = []
        self.at_once = 0
        self.most_at_once = 0

    async def gather(self, item: Item[Toy]) -> str:
        self.passes += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await asyncio.sleep(0)
            self.fails(item)
        finally:
            self.at_once -= 1
        return ""

    def plan(self, item: Item[Toy], context: str) -> Plan:
        return Plan(
            tuple(
                (CONFIG_MAPS, self._config_map(item, name, value))
                for name, value in item.object.spec.entries.items()
            )
        )

    def observe(self, item: Item[Toy], context: str, children: Sequence[Manifest]) -> Observation:
        made = len(children)
        ready = _READY.is_true("Made", f"{made} made") if made else _READY.is_false("Empty", "add entries")
        return Observation(ToyStatus(made=made, conditions=(ready,)))

    async def leave(self, item: Item[Toy], context: str) -> Leaving:
        return Leaving(done=not item.object.spec.hold, again_in=30.0)

    def concerned(self, changed: Manifest, resource: Resource, mirror: Mirror) -> Iterable[str]:
        return ()

    def forgotten(self, item_uid: str) -> None:
        self.forgot.append(item_uid)

    def _config_map(self, item: Item[Toy], name: str, value: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"{item.name}-{name}",
                "namespace": item.namespace,
                "labels": labels.of_child(item.object, item.uid),
                "ownerReferences": [labels.owner_reference(item.object, item.uid)],
            },
            "data": {"value": value},
            **({"immutable": True} if item.object.spec.stays else {}),
        }
