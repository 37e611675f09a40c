"""The calls that entries need now, and what the entries say meanwhile. Pure."""

from dataclasses import dataclass, field

from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.statuses.lora_adapter import NamedVersion, PodState, PodStatus
from sluice_operator.agents.protocol import Call, Load, Resolve, Running, Unload
from sluice_operator.agents.views import PodView, Trouble
from sluice_operator.kinds.lora_adapter import times
from sluice_operator.kinds.lora_adapter.context import Context
from sluice_operator.kinds.lora_adapter.state import ON_THE_WAY, Key, State, changed, files
from sluice_operator.reconciling.kind import Item

#: Seconds until an agent has been asked anew.
_LOOK = 5.0
_UNASKED = Trouble("AGENT_UNREACHABLE", "the agent has not been asked yet")


@dataclass(slots=True)
class Made:
    """Calls to be started, the entries with what goes on, and the seconds after which more is due."""

    entries: dict[Key, PodStatus]
    calls: tuple[Call, ...] = ()
    again: list[float] = field(default_factory=list)


def is_usable(pod: PodView) -> bool:
    """Whether adapters can be loaded there now."""
    return pod.agent is not None and pod.agent.reachable and pod.agent.engine_reachable


def calls(item: Item[LoRAAdapter], context: Context, state: State) -> Made:
    """What each entry needs next: one call, or none."""
    pods = {pod.uid: pod for pod in context.pods}
    wanted = {each.engine_name: each for each in (state.current, state.target) if each is not None}
    made, found = Made(dict(state.entries)), []
    for key, each in state.entries.items():
        pod = pods[key[0]]
        running = [one for one in context.running if one.call.pod == pod.uid]
        new, call = _step(item, each, pod, wanted.get(key[1]), running, context.now)
        made.entries[key] = new
        if call is not None:
            found.append(call)
        elif new.next_attempt_time is not None and not times.is_due(new.next_attempt_time, context.now):
            made.again.append((times.read(new.next_attempt_time) or 0.0) - context.now)
        elif new.state is PodState.UNLOADED:
            made.again.append(_LOOK)
    made.calls = tuple(sorted(found, key=lambda call: (call.pod, type(call).__name__)))
    return made


def _step(
    item: Item[LoRAAdapter],
    each: PodStatus,
    pod: PodView,
    version: NamedVersion | None,
    running: list[Running],
    now: float,
) -> tuple[PodStatus, Call | None]:
    spec, name = item.object.spec, each.engine_name
    for one in running:
        match one.call:
            case Load(name=of) | Unload(name=of) if of == name:
                is_load = isinstance(one.call, Load) and each.state in ON_THE_WAY
                return (_trying(each, PodState.LOADING) if is_load else each), None
    if each.state in (PodState.DRAINING, PodState.LOADED):
        trouble = _trouble(pod)
        if each.state is PodState.LOADED:
            return _marked(each, trouble), None
        is_due = times.is_due(each.next_attempt_time, now)
        if trouble is not None or not is_due:
            return (_marked(each, trouble) if is_due else each), None
        return each, Unload(pod.uid, name, spec.load.timeout)
    if each.state not in ON_THE_WAY or (each.state is PodState.FAILED and not _is_due(each, now)):
        return each, None
    if name and version is None:
        return each, None
    return _towards(item, each, pod, version, running)


def _towards(
    item: Item[LoRAAdapter],
    each: PodStatus,
    pod: PodView,
    version: NamedVersion | None,
    running: list[Running],
) -> tuple[PodStatus, Call | None]:
    """The next step of an entry on its way: fetch, make room for the name, load."""
    spec, agent = item.object.spec, pod.agent
    resolve = _resolve(item, pod, version)
    for one in running:
        if isinstance(one.call, Resolve) and _same(one.call, resolve):
            return _trying(each, PodState.DOWNLOADING, _percent(one)), None
    if agent is None or not agent.reachable:
        return _marked(each, _trouble(pod)), None
    lies_there = version is not None and (files(version) in agent.here or each.state is PodState.LOADING)
    if version is None or not lies_there or each.reason == "ADAPTER_MISSING":
        return _trying(each, PodState.DOWNLOADING), resolve
    if not agent.engine_reachable:
        return _marked(each, _trouble(pod)), None
    name = version.engine_name
    is_taken = name in agent.loaded and agent.loaded[name] != files(version)
    if is_taken or each.reason == "NAME_TAKEN":
        return each, Unload(pod.uid, name, spec.load.timeout)
    return _trying(each, PodState.LOADING), Load(pod.uid, name, files(version), spec.load.timeout)


def _resolve(item: Item[LoRAAdapter], pod: PodView, version: NamedVersion | None) -> Resolve:
    spec = item.object.spec
    seconds = spec.load.download_timeout
    if version is None:
        return Resolve(pod.uid, spec.source, spec.digest, "", spec.rank or 0, seconds)
    source = version.source or spec.source
    return Resolve(pod.uid, source, version.digest, version.config_digest, 0, seconds)


def _trying(each: PodStatus, state: PodState, progress: int | None = None) -> PodStatus:
    """The entry while a call goes on; what the last try failed of is said until one does not."""
    kept = {"reason": each.reason, "message": each.message} if each.attempts else {}
    return changed(each, state, progress=progress, **kept)


def _same(one: Resolve, other: Resolve) -> bool:
    """The same whatever time it is given."""
    return (one.pod, one.source, one.digest, one.config_digest) == (
        other.pod,
        other.source,
        other.digest,
        other.config_digest,
    )


def _is_due(each: PodStatus, now: float) -> bool:
    return each.next_attempt_time is not None and times.is_due(each.next_attempt_time, now)


def _percent(running: Running) -> int | None:
    return min(100, 100 * running.bytes // running.total_bytes) if running.total_bytes else None


def _trouble(pod: PodView) -> Trouble | None:
    """Why agent or engine of a pod cannot be asked."""
    agent = pod.agent
    if agent is None:
        return _UNASKED
    if agent.reachable and agent.engine_reachable:
        return None
    word = "ENGINE_UNREACHABLE" if agent.reachable else "AGENT_UNREACHABLE"
    return agent.trouble or Trouble(word, "the engine does not answer" if agent.reachable else "no answer")


def _marked(each: PodStatus, trouble: Trouble | None) -> PodStatus:
    """The entry with the trouble that it waits for, or without one that has passed; what it failed of stays."""
    if trouble is _UNASKED:
        return each
    if trouble is not None and each.state is not PodState.FAILED:
        return each.model_copy(update={"reason": trouble.reason[:128], "message": trouble.message[:1024]})
    if trouble is None and each.state is PodState.LOADED and each.reason:
        return each.model_copy(update={"reason": "", "message": ""})
    return each
