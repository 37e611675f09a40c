"""Which version is in rotation: the alias becomes another version's name only once that one can serve. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sluice_api.objects.lora_adapter import LoRAAdapterSpec
from sluice_api.statuses.lora_adapter import NamedVersion, PodState, PodStatus, PreviousVersion
from sluice_operator.agents.views import PodView
from sluice_operator.kinds.lora_adapter import times
from sluice_operator.kinds.lora_adapter.context import Context
from sluice_operator.kinds.lora_adapter.state import State

#: Seconds that a loaded version waits at most until the server's endpoints name it.
ANNOUNCING = 5.0


@dataclass(frozen=True, slots=True)
class Rotation:
    """What is in rotation, and why nothing newer is."""

    state: State
    lacking: int = 0
    """Pods that the spec's version has to be loaded on yet."""
    again_in: float | None = None


def serving(state: State, name: str, pods: Mapping[str, PodView]) -> list[PodStatus]:
    """The entries of a version that is loaded on pods that are ready."""
    return [
        each
        for each in state.of(name)
        if each.state is PodState.LOADED and each.pod_uid in pods and pods[each.pod_uid].ready
    ]


def turn(spec: LoRAAdapterSpec, context: Context, state: State) -> Rotation:
    """Lets the version before go once its time is over, and the spec's take over once it is loaded on `minAvailable`
    pods; on as many as the one in rotation, where that has fewer."""
    if state.previous is not None and times.is_due(state.previous.until, context.now):
        state = replace(state, previous=None)
    target, current = state.target, state.current
    if target is None or target == current:
        return Rotation(state)
    if current is not None and target.engine_name == current.engine_name:
        return Rotation(replace(state, current=target))
    pods = {pod.uid: pod for pod in context.pods if not pod.leaving}
    new = serving(state, target.engine_name, pods)
    old = serving(state, current.engine_name, pods) if current else []
    needed = max(1, min(spec.placement.min_available, len(old)))
    if len(new) < needed:
        return Rotation(state, lacking=needed - len(new))
    if old:
        waits = sorted(_unannounced(context, each) for each in new)
        if waits[needed - 1] > 0:
            return Rotation(state, again_in=waits[needed - 1])
    return Rotation(replace(state, current=target, previous=_kept(spec, context.now, state)))


def _unannounced(context: Context, each: PodStatus) -> float:
    """Seconds to wait for the server's endpoints to name what a pod has loaded: services would not find it before."""
    endpoints = context.server.status.get("endpoints") if context.server else None
    for endpoint in endpoints or ():
        if endpoint.get("name") == each.pod_name and each.engine_name in (endpoint.get("adapters") or ()):
            return 0.0
    return (times.read(each.last_attempt_time) or 0.0) + ANNOUNCING - context.now


def _kept(spec: LoRAAdapterSpec, now: float, state: State) -> PreviousVersion | None:
    """The version that leaves rotation, where there is something to go back to."""
    current = state.current
    if current is None or spec.rollback_window <= 0:
        return None
    if not any(each.state is PodState.LOADED for each in state.of(current.engine_name)):
        return None
    fields = {name: getattr(current, name) for name in NamedVersion.model_fields}
    return PreviousVersion.model_construct(**fields, until=times.told(now + spec.rollback_window))
