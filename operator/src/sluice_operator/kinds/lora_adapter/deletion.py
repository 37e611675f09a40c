"""How an adapter leaves: out of rotation, drained, unloaded, made sure of. Pure.

All that is needed to go on is in the status (since when it leaves, and where it may be loaded) and in what the agents
list, so that a deletion survives the operator.
"""

from dataclasses import replace

from sluice_api.objects.lora_adapter import DeletionPolicy, LoRAAdapter
from sluice_api.statuses.base import Condition
from sluice_api.statuses.lora_adapter import CONDITIONS, LOADED, PodState, PodStatus, Replicas
from sluice_operator.agents.protocol import Call, Load
from sluice_operator.kinds.lora_adapter import calling, times
from sluice_operator.kinds.lora_adapter.advancing import advance
from sluice_operator.kinds.lora_adapter.context import Context
from sluice_operator.kinds.lora_adapter.deciding import living
from sluice_operator.kinds.lora_adapter.observe import told
from sluice_operator.kinds.lora_adapter.obstacles import older_sibling
from sluice_operator.kinds.lora_adapter.state import RETIRING, State, changed
from sluice_operator.reconciling.kind import Item, Leaving

#: Seconds between two looks while something is waited for.
_LOOK = 1.0


def plan_deletion(item: Item[LoRAAdapter], context: Context) -> tuple[tuple[Call, ...], Leaving]:
    """The calls of one pass of a deletion, and how far it is.

    Where it ends with a status, something may still be loaded: the message of its `Loaded` condition
    (`UnloadTimedOut`) says what and where, and belongs into an event, since nobody can read the status any more.
    """
    spec, server = item.object.spec, context.server
    if spec.deletion.policy is DeletionPolicy.ORPHAN or server is None or server.spec.vllm is None:
        return (), Leaving(done=True)
    since = times.read(context.status.leaving_since) or context.now
    state = _draining(item, context, since)
    loads = [one for one in context.running if isinstance(one.call, Load)]
    if not state.entries and not loads:
        return (), Leaving(done=True)
    if context.now >= since + max(spec.deletion.timeout, spec.deletion.drain):
        return (), Leaving(done=True, status=told(item, state, _timed_out(state), _replicas(context)))
    made = calling.calls(item, context, state)
    state = replace(state, entries=made.entries)
    again = min([*made.again, since + spec.deletion.drain - context.now, 60.0])
    status = told(item, state, _leaving(state), _replicas(context), times.told(since))
    return made.calls, Leaving(done=False, status=status, again_in=max(again, _LOOK))


def _draining(item: Item[LoRAAdapter], context: Context, since: float) -> State:
    """Every entry on its way out; what was never loaded is gone."""
    state = advance(item, context, strays=not older_sibling(item, context))
    due = times.told(since + item.object.spec.deletion.drain)
    entries = {}
    for key, each in state.entries.items():
        if not each.engine_name:
            continue
        if each.state in RETIRING:
            entries[key] = each
        elif each.state is PodState.LOADED or _may_be_loaded(context, each):
            entries[key] = changed(each, PodState.DRAINING, attempts=0, next_attempt_time=due)
    return replace(state, entries=entries)


def _may_be_loaded(context: Context, each: PodStatus) -> bool:
    """Whether a load may have come through: it goes on, or nobody who answers says that it has not."""
    if any(
        isinstance(one.call, Load) and (one.call.pod, one.call.name) == (each.pod_uid, each.engine_name)
        for one in context.running
    ):
        return True
    asked = {pod.uid for pod in living(context) if calling.is_usable(pod)}
    return each.state in (PodState.LOADING, PodState.FAILED) and each.pod_uid not in asked


def _leaving(state: State) -> tuple[Condition, ...]:
    left = sorted(state.entries.values(), key=lambda each: (each.pod_name, each.engine_name))
    where = ", ".join(f"{each.engine_name} on {each.pod_name} ({_how_far(each)})" for each in left[:5])
    more = f" and {len(left) - 5} more" if len(left) > 5 else ""
    message = f"It is being deleted. Still to be unloaded: {where}{more}."
    return tuple(
        (each.is_unknown if each in CONDITIONS[:2] else each.is_false)("Deleting", message)
        for each in CONDITIONS
    )


def _how_far(each: PodStatus) -> str:
    if each.reason:
        return f"{each.message or each.reason}"
    if each.state is PodState.UNLOADED:
        return "unloaded, to be made sure of"
    return f"drains until {each.next_attempt_time[:19]}Z" if each.next_attempt_time else "unloading"


def _timed_out(state: State) -> tuple[Condition, ...]:
    left = sorted(f"{each.engine_name} on {each.pod_name}" for each in state.entries.values())
    more = f" and {len(left) - 20} more" if len(left) > 20 else ""
    message = (
        f"deletion.timeout is over. May still be loaded: {', '.join(left[:20])}{more}. It goes when those engines "
        "restart; nothing is routed there."
    )
    return tuple(
        LOADED.is_unknown("UnloadTimedOut", message) if each is LOADED else each.is_false("Deleting", message)
        for each in CONDITIONS
    )


def _replicas(context: Context) -> Replicas:
    return Replicas(candidates=len(living(context)))
