"""What a kind has to say; the loop does the rest."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from sluice_api.objects.base import SluiceObject
from sluice_api.statuses.base import Status
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import Resource, resource_of
from sluice_operator.reconciling.mirror import Mirror

O = TypeVar("O", bound=SluiceObject)  # noqa: E741 - an object
C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Item(Generic[O]):
    """A custom resource as it stands at the start of a pass."""

    object: O
    uid: str
    generation: int
    deleted_at: float | None = None
    """Seconds since the epoch; unset while nobody has asked for its deletion."""

    @property
    def name(self) -> str:
        """Its name."""
        return self.object.metadata.name

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return self.object.metadata.namespace


@dataclass(frozen=True, slots=True)
class Plan:
    """What ought to be, and what has to be done for it."""

    manifests: tuple[tuple[Resource, Manifest], ...] = ()
    """Every child, whole. A child of `Kind.applies` that is not among them is pruned."""
    actions: tuple[Any, ...] = ()
    """What is to be done outside the API server, in the kind's own types."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What is, once a pass has done its part."""

    status: Status
    """Whole, with conditions; the loop keeps the transition times and sets `observedGeneration`."""
    again_in: float | None = None
    """Seconds after which a pass is worth while though nothing has happened; the usual interval where unset."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """How far a deletion is."""

    done: bool
    status: Status | None = None
    """What people see meanwhile."""
    again_in: float = 1.0
    failed: bool = False
    """The pass could not be made; the loop sets it."""


class Kind(ABC, Generic[O, C]):
    """One kind of custom resource. `plan` and `observe` are pure: no clock, no reading, no writing."""

    model: ClassVar[type[SluiceObject]]
    applies: ClassVar[tuple[Resource, ...]] = ()
    """What its plans may hold; watched by the label of the owner, and pruned by it."""
    listens: ClassVar[tuple[Resource, ...]] = ()
    """What else wakes its objects, see `concerned`."""
    selectors: ClassVar[Mapping[Resource, str]] = {}
    """Which of what it listens to it wants, by labels in kubectl's words; all where nothing is said."""

    @property
    def resource(self) -> Resource:
        """The custom resource."""
        return resource_of(self.model)

    @abstractmethod
    async def gather(self, item: Item[O]) -> C:
        """Everything that a pass depends on, the time included. The only reading."""

    @abstractmethod
    def plan(self, item: Item[O], context: C) -> Plan:
        """What ought to be. Pure."""

    async def act(self, item: Item[O], context: C, plan: Plan) -> None:
        """Does the plan's actions, or starts them: what takes long goes on alone and wakes the object at its end."""

    @abstractmethod
    def observe(self, item: Item[O], context: C, children: Sequence[Manifest]) -> Observation:
        """What people and other kinds are told. Pure; `children` are as the API server has them after the pass."""

    async def leave(self, item: Item[O], context: C) -> Leaving:
        """One pass of a deletion, for kinds that leave something outside the API server."""
        return Leaving(done=True)

    def concerned(self, changed: Manifest, resource: Resource, mirror: Mirror) -> Iterable[str]:
        """The uids of the objects that a change of something in `listens` concerns."""
        return ()

    def forgotten(self, item_uid: str) -> None:
        """An object is gone for good; what is kept of it in memory can go."""
