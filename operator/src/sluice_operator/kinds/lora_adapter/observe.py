"""What people and other kinds are told of an adapter. Pure."""

from collections.abc import Iterable

from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.statuses.base import Condition
from sluice_api.statuses.lora_adapter import (
    MAX_PODS,
    LoRAAdapterStatus,
    PodState,
    PodStatus,
    Replicas,
)
from sluice_operator.kinds.lora_adapter.conditions import Facts, conditions, facts
from sluice_operator.kinds.lora_adapter.context import Context
from sluice_operator.kinds.lora_adapter.deciding import decide
from sluice_operator.kinds.lora_adapter.placement import wanted
from sluice_operator.kinds.lora_adapter.plan import Decided
from sluice_operator.kinds.lora_adapter.state import State
from sluice_operator.reconciling.kind import Item, Observation, Plan

#: Of `status.pods`, what comes first.
_ORDER = (
    PodState.FAILED,
    PodState.PENDING,
    PodState.DOWNLOADING,
    PodState.LOADING,
    PodState.DRAINING,
    PodState.UNLOADED,
    PodState.LOADED,
)


def observe(item: Item[LoRAAdapter], context: Context, plan: Plan) -> Observation:
    """The status that the next pass starts from. `plan` is what `plan` gave for the same context: of its calls the
    status says that they go on."""
    decision = plan.decision if isinstance(plan, Decided) and plan.decision else decide(item, context)
    known = facts(item, context, decision)
    return Observation(
        told(item, decision.state, conditions(known), _replicas(known)), again_in=decision.again_in
    )


def told(
    item: Item[LoRAAdapter],
    state: State,
    said: Iterable[Condition],
    replicas: Replicas,
    leaving_since: str | None = None,
) -> LoRAAdapterStatus:
    """A status, whole."""
    current = state.current
    shown, left = _shown(state)
    return LoRAAdapterStatus(
        observed_generation=item.generation,
        conditions=tuple(said),
        resolved=state.target,
        engine_name=current.engine_name if current else "",
        revision=current.revision if current else "",
        in_rotation=current,
        previous=state.previous,
        replicas=replicas,
        loaded=f"{replicas.loaded}/{replicas.desired}",
        pods=tuple(shown),
        pods_omitted=len(left),
        also_loaded=tuple(each.pod_uid for each in left if _is_in_rotation(state, each)),
        leaving_since=leaving_since,
    )


def _replicas(known: Facts) -> Replicas:
    decision = known.decision
    on_the_way = (PodState.PENDING, PodState.DOWNLOADING, PodState.LOADING)
    placement = known.item.object.spec.placement
    desired = decision.choice.desired if decision.choice else wanted(placement, len(known.pods))
    return Replicas(
        desired=0 if decision.obstacle else desired,
        candidates=len(known.pods),
        loaded=0 if decision.obstacle else len(known.serving),
        loading=sum(each.state in on_the_way for each in known.entries),
        failed=sum(each.state is PodState.FAILED for each in known.entries),
    )


def _shown(state: State) -> tuple[list[PodStatus], list[PodStatus]]:
    """The entries, and those that there is no room for: of what is in rotation the agents and `alsoLoaded` tell."""
    entries = sorted(
        state.entries.values(),
        key=lambda each: (
            _ORDER.index(each.state),
            _is_in_rotation(state, each),
            each.pod_name,
            each.engine_name,
        ),
    )
    return entries[:MAX_PODS], entries[MAX_PODS:]


def _is_in_rotation(state: State, each: PodStatus) -> bool:
    return (
        state.current is not None
        and each.engine_name == state.current.engine_name
        and each.state is PodState.LOADED
    )
