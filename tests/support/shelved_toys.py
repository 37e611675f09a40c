"""A kind that is just big enough to try the loop: children, something outside the cluster, something it reads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from sluice_api.objects.base import API_VERSION, Model, SluiceObject
from sluice_api.statuses.base import ConditionType, Status
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import CONFIG_MAPS, SECRETS, Resource, resource_of
from sluice_operator.reconciling.kind import Item, Kind, Leaving, Observation, Plan
from sluice_operator.reconciling.labels import of_child, owner_reference
from sluice_operator.reconciling.mirror import Mirror
from sluice_servicekit import errors

READY = ConditionType("Ready", "All is there.", {"Ready": "It is.", "NoBox": "The Secret is missing."})


class ToySpec(Model):
    """What a toy is made of."""

    words: dict[str, str] = Field(default_factory=dict)
    """A ConfigMap for each."""
    box: str = ""
    """A Secret whose value goes into every ConfigMap."""


class Toy(SluiceObject):
    """For tests alone."""

    KIND: ClassVar[str] = "Toy"
    SHORT_NAME: ClassVar[str] = "toy"
    PLURAL: ClassVar[str] = "toys"

    spec: ToySpec


class ToyStatus(Status):
    """What is said of a toy."""

    words: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """What a pass depends on."""

    box: str | None
    shelved: bool


class Shelf:
    """Something outside the cluster."""

    def __init__(self) -> None:
        self.uids: set[str] = set()
        self.broken = False
        self.changes = 0

    def put(self, uid: str) -> None:
        """Fails while it is broken."""
        self._change(self.uids | {uid})

    def take(self, uid: str) -> None:
        """The same."""
        self._change(self.uids - {uid})

    def _change(self, uids: set[str]) -> None:
        if self.broken:
            raise errors.Unavailable("the shelf cannot be reached")
        self.uids = uids
        self.changes += 1


class ToyKind(Kind[Toy, Found]):
    """Puts every toy on the shelf, and its words into ConfigMaps."""

    model = Toy
    applies = (CONFIG_MAPS,)
    listens = (SECRETS,)

    def __init__(self, mirror: Mirror, shelf: Shelf) -> None:
        self._mirror = mirror
        self._shelf = shelf

    async def gather(self, item: Item[Toy]) -> Found:
        name = item.object.spec.box
        found = self._mirror.get(SECRETS, item.namespace, name) if name else None
        return Found(
            box=found["data"]["value"] if found else None if name else "",
            shelved=item.uid in self._shelf.uids,
        )

    def plan(self, item: Item[Toy], context: Found) -> Plan:
        return Plan(
            manifests=tuple(
                (CONFIG_MAPS, child(item.object, item.uid, key, word, context.box or ""))
                for key, word in item.object.spec.words.items()
            ),
            actions=() if context.shelved else ("shelve",),
        )

    async def act(self, item: Item[Toy], context: Found, plan: Plan) -> None:
        if plan.actions:
            self._shelf.put(item.uid)

    def observe(self, item: Item[Toy], context: Found, children: Sequence[Manifest]) -> Observation:
        ready = (
            READY.is_true("Ready", "All is there.")
            if context.box is not None
            else READY.is_false("NoBox", f"Make the Secret {item.object.spec.box}.")
        )
        return Observation(ToyStatus(words=len(children), conditions=(ready,)))

    async def leave(self, item: Item[Toy], context: Found) -> Leaving:
        if context.shelved:
            self._shelf.take(item.uid)
        return Leaving(done=True)

    def concerned(self, changed: Manifest, resource: Resource, mirror: Mirror) -> Iterable[str]:
        for manifest in mirror.all(self.resource, changed["metadata"]["namespace"]):
            if manifest["spec"].get("box") == changed["metadata"]["name"]:
                yield manifest["metadata"]["uid"]


TOYS = resource_of(Toy)


def toy(name: str, namespace: str, **spec: Any) -> dict[str, Any]:
    """As somebody writes it."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": "Toy", "metadata": metadata, "spec": spec}


def child(owner: Toy, uid: str, key: str, word: str, box: str) -> Manifest:
    """The ConfigMap of a word."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"{owner.metadata.name}-{key}",
            "namespace": owner.metadata.namespace,
            "labels": of_child(owner, uid),
            "ownerReferences": [owner_reference(owner, uid)],
        },
        "data": {"word": word, **({"box": box} if box else {})},
    }
