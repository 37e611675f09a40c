"""One decision a pass: what is so by now, which calls are to be made, and when to look again. Pure.

`obstacles` → `advancing` → `rotation` → places of each version (`placement`) → `calling`. `plan` gives the
calls and `observe` the status of one decision.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.statuses.lora_adapter import NamedVersion, PodState, PodStatus
from sluice_operator.agents.protocol import Call, Unload
from sluice_operator.agents.views import PodView
from sluice_operator.kinds.lora_adapter import calling, times
from sluice_operator.kinds.lora_adapter.advancing import advance
from sluice_operator.kinds.lora_adapter.context import Context
from sluice_operator.kinds.lora_adapter.naming import listed_beyond
from sluice_operator.kinds.lora_adapter.obstacles import Obstacle, obstacle
from sluice_operator.kinds.lora_adapter.placement import Candidate, Choice, choose
from sluice_operator.kinds.lora_adapter.reasons import is_of_the_adapter
from sluice_operator.kinds.lora_adapter.retries import fraction
from sluice_operator.kinds.lora_adapter.rotation import turn
from sluice_operator.kinds.lora_adapter.state import RETIRING, Key, State, changed, entry, files
from sluice_operator.reconciling.kind import Item


@dataclass(frozen=True, slots=True)
class Decision:
    """What a pass has come to."""

    state: State
    calls: tuple[Call, ...] = ()
    obstacle: Obstacle | None = None
    choice: Choice | None = None
    """Where the spec's version goes; none while its files are not known."""
    lacking: int = 0
    """Pods that keep the spec's version from taking over."""
    again_in: float | None = None


def decide(item: Item[LoRAAdapter], context: Context) -> Decision:
    """Decides; the same for the same item and context."""
    spec, blocked = item.object.spec, obstacle(item, context)
    state = advance(item, context, strays=blocked is None)
    choice, lacking, again = None, 0, []
    if blocked is not None and blocked.leaves:
        return Decision(state, obstacle=blocked)
    if blocked is not None:
        if blocked.forgets:
            state = State(None, None, None, state.entries)
        named = {key: each for key, each in state.entries.items() if each.engine_name}
        state = _retired(item, context, replace(state, entries=named), frozenset())
    else:
        rotation = turn(spec, context, state)
        state, lacking = rotation.state, rotation.lacking
        again += [rotation.again_in] if rotation.again_in is not None else []
        if state.current is not None:
            state, choice = _placed(item, context, state, state.current)
        if state.target is None:
            state, choice = _scouting(item, context, state), None
        elif state.current is None or state.target.engine_name != state.current.engine_name:
            state, choice = _placed(item, context, state, state.target)
        if choice is not None:
            state = _yielding(item, context, state, choice)
        state = _retired(item, context, state, state.names)
        if state.previous is not None:
            again.append((times.read(state.previous.until) or 0.0) - context.now)
    made = calling.calls(item, context, state)
    again += made.again
    return Decision(
        replace(state, entries=made.entries),
        made.calls,
        blocked,
        choice,
        lacking,
        max(min(again), 0.05) if again else None,
    )


def living(context: Context) -> list[PodView]:
    """The pods that are not being deleted."""
    return [pod for pod in context.pods if not pod.leaving]


def _placed(
    item: Item[LoRAAdapter], context: Context, state: State, version: NamedVersion
) -> tuple[State, Choice]:
    """Gives a version its places: an entry on each, and none beside them."""
    name = version.engine_name
    choice = choose(item.object.spec.placement, list(_candidates(item, context, state, version)), item.uid)
    entries = dict(state.entries)
    for pod in living(context):
        each = entries.get((pod.uid, name))
        if pod.uid in choice.uids:
            if each is None:
                entries[pod.uid, name] = entry(pod, name)
            elif each.state is PodState.DRAINING:
                entries[pod.uid, name] = changed(each, PodState.LOADED, attempts=0)
        elif each is not None and each.state not in RETIRING:
            _retire(item, context, entries, (pod.uid, name))
    return replace(state, entries=entries), choice


def _candidates(
    item: Item[LoRAAdapter], context: Context, state: State, version: NamedVersion | None
) -> Iterator[Candidate]:
    name, wants = (version.engine_name, files(version)) if version is not None else ("", None)
    own: Counter[str] = Counter(
        uid for (uid, of), each in state.entries.items() if of and each.state is not PodState.UNLOADED
    )
    kept = {uid for (uid, of), each in state.entries.items() if of and each.state not in RETIRING}
    others = _taken_by_others(item, context)
    unloading = {(each.call.pod, each.call.name) for each in context.running if isinstance(each.call, Unload)}
    vllm = context.server.spec.vllm if context.server else None
    capacity = vllm.lora.max_cpu_loras if vllm and vllm.lora else 0
    for pod in living(context):
        each = state.entries.get((pod.uid, name))
        leaves = each is not None and each.state in RETIRING
        is_gone = each is not None and (each.state is PodState.UNLOADED or (pod.uid, name) in unloading)
        if leaves and is_gone:
            continue  # what is being unloaded is so first; then it can come back
        yield Candidate(
            uid=pod.uid,
            name=pod.name,
            node=pod.node,
            usable=pod.ready and calling.is_usable(pod),
            free=capacity - others[pod.uid] - own[pod.uid],
            taken=others[pod.uid] + own[pod.uid],
            held=each is not None and not leaves,
            lingering=leaves,
            loaded=each is not None and each.state is PodState.LOADED,
            barred=each is not None and _is_barred(each),
            preferred=pod.uid in kept,
            here=pod.agent is not None and wants in pod.agent.here,
            scouted=(scout := state.entries.get((pod.uid, ""))) is not None and not _is_barred(scout),
        )


def _is_barred(each: PodStatus) -> bool:
    return each.state is PodState.FAILED and (each.next_attempt_time is None or each.reason == "SLOTS_FULL")


def _taken_by_others(item: Item[LoRAAdapter], context: Context) -> Counter[str]:
    """Slots by pod: those of the other adapters, and of names in the engine that are nobody's."""
    taken = Counter(chain.from_iterable(sibling.pods for sibling in context.siblings))
    known = {sibling.model_name for sibling in context.siblings} | {item.object.spec.model_name}
    for pod in context.pods:
        if pod.agent is not None:
            taken[pod.uid] += listed_beyond(known, pod.agent)
    return taken


def _yielding(item: Item[LoRAAdapter], context: Context, state: State, choice: Choice) -> State:
    """Where the spec's version finds no slot, the version before gives up as many as are lacking."""
    if state.previous is None or state.previous.engine_name in {
        each.engine_name for each in (state.target, state.current) if each
    }:
        return state
    entries = dict(state.entries)
    going = {uid for (uid, name), each in entries.items() if name and each.state in RETIRING}
    lacking = choice.desired - len(choice.uids) - len(choice.full & going)
    holders = [
        uid
        for uid in choice.full - going
        if (held := entries.get((uid, state.previous.engine_name))) and held.state is PodState.LOADED
    ]
    for uid in sorted(holders, key=lambda uid: fraction(item.uid, uid))[: max(lacking, 0)]:
        _retire(item, context, entries, (uid, state.previous.engine_name))
    return replace(state, entries=entries)


def _scouting(item: Item[LoRAAdapter], context: Context, state: State) -> State:
    """Has one pod find out which files the source has. One that cannot makes way for another, unless all would say the
    same."""
    entries = dict(state.entries)
    pods = {pod.uid: pod for pod in living(context)}
    scouts = [each for (_, name), each in entries.items() if not name]
    if any(_is_barred(each) and is_of_the_adapter(each.reason) for each in scouts):
        return state
    reachable = [pod for pod in pods.values() if pod.agent is not None and pod.agent.reachable]
    attempts = 0
    for each in scouts:
        if _is_barred(each):
            continue
        if any(pod.uid == each.pod_uid for pod in reachable) or not reachable:
            return state
        attempts = each.attempts
        del entries[each.pod_uid, ""]
    free = [pod for pod in reachable if (pod.uid, "") not in entries]
    if free:
        held = {uid for uid, name in entries if name}
        # Where they are to be loaded, as far as that can be told, so that they are fetched once.
        likely = choose(
            item.object.spec.placement, list(_candidates(item, context, state, None)), item.uid
        ).uids
        best = min(
            free,
            key=lambda pod: (pod.uid not in held, pod.uid not in likely, fraction(item.uid, pod.uid)),
        )
        entries[best.uid, ""] = entry(best, "").model_copy(update={"attempts": attempts})
    return replace(state, entries=entries)


def _retired(item: Item[LoRAAdapter], context: Context, state: State, kept: frozenset[str]) -> State:
    """Sends out what belongs to no version that is kept."""
    entries = dict(state.entries)
    for key, each in state.entries.items():
        name = key[1]
        is_previous = state.previous is not None and name == state.previous.engine_name
        is_wanted = name in {version.engine_name for version in (state.target, state.current) if version}
        if not name:
            if state.target is not None:
                del entries[key]
        elif each.state not in RETIRING and (
            name not in kept or (is_previous and not is_wanted and each.state is not PodState.LOADED)
        ):
            _retire(item, context, entries, key)
    return replace(state, entries=entries)


def _retire(item: Item[LoRAAdapter], context: Context, entries: dict[Key, PodStatus], key: Key) -> None:
    """What may be loaded drains first, where requests were sent to it; what has not come so far goes at once."""
    each, status = entries[key], context.status
    if each.state not in (PodState.LOADED, PodState.LOADING):
        # A load that goes on all the same is found by the name that the engine lists.
        del entries[key]
        return
    routed = {status.engine_name, status.previous.engine_name if status.previous else ""}
    drain = item.object.spec.deletion.drain if key[1] in routed and each.state is PodState.LOADED else 0.0
    entries[key] = changed(
        each, PodState.DRAINING, attempts=0, next_attempt_time=times.told(context.now + drain)
    )
