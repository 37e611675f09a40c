"""`GuardrailPolicy`: validated and compiled with all other objects; here only its status is made."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from sluice_api.objects.base import SluiceObject
from sluice_api.objects.guardrail_policy import GuardrailPolicy
from sluice_api.statuses.base import Truth
from sluice_api.statuses.guardrail_policy import READY_CONDITION, GuardrailPolicyStatus
from sluice_api.tolerant import Key
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import Resource, resource_of
from sluice_operator.reconciling.kind import Item, Kind, Observation, Plan
from sluice_operator.reconciling.mirror import Mirror
from sluice_operator.snapshots.telling import told, with_stalled
from sluice_operator.snapshots.views import Distribution, View


@dataclass(frozen=True, slots=True)
class Context:
    """Gathered at a pass's start."""

    status: GuardrailPolicyStatus
    """As the last pass left it."""
    view: View


class GuardrailPolicyKind(Kind[GuardrailPolicy, Context]):
    """What there is to know of a policy: whether it is in force, and where."""

    model: ClassVar[type[SluiceObject]] = GuardrailPolicy
    listens: ClassVar[tuple[Resource, ...]] = (resource_of(GuardrailPolicy),)

    def __init__(self, distribution: Distribution) -> None:
        self._distribution = distribution

    async def gather(self, item: Item[GuardrailPolicy]) -> Context:
        """Everything that a pass depends on."""
        return Context(
            status=GuardrailPolicyStatus.model_validate(item.object.status),
            view=self._distribution.view(Key(GuardrailPolicy.KIND, item.namespace, item.name)),
        )

    def plan(self, item: Item[GuardrailPolicy], context: Context) -> Plan:
        """Nothing: the snapshot is one for all objects."""
        return Plan()

    def observe(
        self, item: Item[GuardrailPolicy], context: Context, children: Sequence[Manifest]
    ) -> Observation:
        """What people are told."""
        return Observation(observe(item.generation, context))

    def concerned(self, changed: Manifest, resource: Resource, mirror: Mirror) -> Iterable[str]:
        """A change of any policy is one of the snapshot."""
        self._distribution.wake_compiler()
        return ()


def observe(generation: int, context: Context) -> GuardrailPolicyStatus:
    """The status. Pure."""
    view, before = context.view, context.status
    if view.settling and before.conditions and before.observed_generation == generation:
        return before
    parts = told(view, generation, before)
    wanting = next(
        (each for each in (parts.compiled, parts.distributed) if each.status is not Truth.TRUE), None
    )
    ready = (
        READY_CONDITION.is_true("Ready", f"Version {parts.version} is in force everywhere.")
        if wanting is None
        else READY_CONDITION.is_false(wanting.reason, wanting.message)
    )
    return GuardrailPolicyStatus(
        conditions=(parts.compiled, parts.distributed, *with_stalled(ready)),
        version=parts.version,
        in_force_generation=parts.in_force_generation,
        snapshot=parts.snapshot,
    )
