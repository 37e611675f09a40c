"""An adapter's conditions, from what a pass has come to. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.statuses.base import Condition, ConditionType, Truth
from sluice_api.statuses.lora_adapter import (
    COMPATIBLE,
    LOADED,
    PLACED,
    READY,
    ROUTED,
    SOURCE_RESOLVED,
    PodState,
    PodStatus,
)
from sluice_operator.agents.views import PodView
from sluice_operator.kinds.lora_adapter import reasons
from sluice_operator.kinds.lora_adapter.context import Context
from sluice_operator.kinds.lora_adapter.deciding import Decision, living
from sluice_operator.kinds.lora_adapter.obstacles import Obstacle
from sluice_operator.kinds.lora_adapter.rotation import serving
from sluice_operator.kinds.lora_adapter.state import ON_THE_WAY
from sluice_operator.reconciling.kind import Item

_GIVEN_UP = "Put that right, then change the spec or delete the pod."


@dataclass(frozen=True, slots=True)
class Facts:
    """What the conditions are told from."""

    item: Item[LoRAAdapter]
    decision: Decision
    pods: Sequence[PodView]
    """That are not being deleted."""
    entries: Sequence[PodStatus]
    """Of the spec's version; while its files are not known, of their resolution."""
    serving: Sequence[PodStatus]
    """Of the version in rotation, on pods that are ready."""

    @property
    def failed(self) -> list[PodStatus]:
        """The entries whose last try failed, those that are being tried again included; those that are tried no more
        come first."""
        failed = [
            each
            for each in self.entries
            if each.state is PodState.FAILED or (each.state in ON_THE_WAY and each.attempts and each.reason)
        ]
        return sorted(failed, key=lambda each: (not _is_given_up(each), each.pod_name))


def facts(item: Item[LoRAAdapter], context: Context, decision: Decision) -> Facts:
    """Gathers them."""
    state, pods = decision.state, living(context)
    current = state.current.engine_name if state.current else None
    return Facts(
        item,
        decision,
        pods,
        list(state.of(state.target.engine_name if state.target else "")),
        serving(state, current, {pod.uid: pod for pod in pods}) if current else (),
    )


def conditions(known: Facts) -> tuple[Condition, ...]:
    """All of them; `Ready` last."""
    blocked = known.decision.obstacle
    if blocked is not None:
        return _blocked(blocked)
    steps = (_source_resolved(known), _compatible(known), _placed(known), _loaded(known), _routed(known))
    return (*steps, _ready(known, steps))


def _blocked(blocked: Obstacle) -> tuple[Condition, ...]:
    """Nothing is known and nothing is done of what the obstacle stands before."""
    unknown = (
        each.is_unknown(blocked.reason, blocked.message) for each in (SOURCE_RESOLVED, COMPATIBLE, LOADED)
    )
    source, compatible, loaded = unknown
    ends = [
        (each.is_true if blocked.is_ready else each.is_false)(blocked.reason, blocked.message)
        for each in (PLACED, ROUTED, READY)
    ]
    return (source, compatible, ends[0], loaded, *ends[1:])


def _source_resolved(known: Facts) -> Condition:
    target = known.decision.state.target
    if found := _first(known, SOURCE_RESOLVED, _is_verdict(SOURCE_RESOLVED)):
        return found
    if target is not None:
        return SOURCE_RESOLVED.is_true("Resolved", f"{target.digest} from {target.origin or 'the source'}.")
    if _first(known, COMPATIBLE, _is_verdict(COMPATIBLE)):
        return SOURCE_RESOLVED.is_true("Fetched", "The files have been fetched and refused. See Compatible.")
    working = [each for each in known.entries if each.state is PodState.DOWNLOADING]
    if working:
        done = f", {working[0].progress} %" if working[0].progress is not None else ""
        return SOURCE_RESOLVED.is_unknown("Resolving", f"{working[0].pod_name} is fetching the files{done}.")
    said = [f"{each.pod_name}: {each.message or each.reason}" for each in known.entries if each.reason]
    return SOURCE_RESOLVED.is_unknown(
        "WaitingForAgent",
        "No agent can be asked to fetch the files; see the pods of ModelServer "
        f"{known.item.object.spec.model_server_ref!r}. {'; '.join(said[:3])}".strip(),
    )


def _compatible(known: Facts) -> Condition:
    target = known.decision.state.target
    if found := _first(known, COMPATIBLE, _is_verdict(COMPATIBLE)):
        return found
    if target is None:
        return COMPATIBLE.is_unknown("NotChecked", "The files have not been seen yet. See SourceResolved.")
    of = f" of {target.base_model}" if target.base_model else ""
    unchecked = f" Not checked: {' '.join(target.warnings)}" if target.warnings else ""
    return COMPATIBLE.is_true("Compatible", f"An adapter{of} of rank {target.rank}.{unchecked}"[:4096])


def _placed(known: Facts) -> Condition:
    choice, ref = known.decision.choice, f"ModelServer {known.item.object.spec.model_server_ref!r}"
    if not known.pods:
        return PLACED.is_false(
            "NoCandidates", f"{ref} has no pods. Raise its replicas, or see what keeps them from being made."
        )
    if choice is None:
        return PLACED.is_unknown("Waiting", "It is placed once its files are known. See SourceResolved.")
    if found := _first(known, PLACED, _is_verdict(PLACED)):
        return found
    has = f"{len(choice.uids)} of {choice.desired} pods"
    if len(choice.uids) >= choice.desired:
        return PLACED.is_true("Placed", f"On {has}.")
    if choice.full:
        return PLACED.is_false(
            "NoFreeSlots",
            f"Placed on {has}; {len(choice.full)} more have no free slot. Raise lora.maxCpuLoras of {ref}, add pods, "
            "or remove adapters. It is placed as slots become free.",
        )
    return PLACED.is_false(
        "TooFewPods",
        f"Placed on {has}: {ref} has {len(known.pods)}. Raise its replicas, or lower placement.replicas.",
    )


def _loaded(known: Facts) -> Condition:
    choice = known.decision.choice
    if choice is None:
        if found := _first(known, LOADED, _is_verdict(LOADED)):
            return found
        return LOADED.is_false("NotPlaced", "The files are not known yet. See SourceResolved.")
    there = [each for each in known.entries if each.state is PodState.LOADED]
    has = f"Loaded on {len(there)} of {choice.desired} pods."
    if there and len(there) >= choice.desired:
        silent = [each for each in there if each.reason]
        if not silent:
            return LOADED.is_true("AllLoaded", has)
        reason = reasons.verdict(silent[0].reason)
        return LOADED.is_unknown(
            reason.reason if reason.condition is LOADED else "EngineUnreachable",
            f"{has} {len(silent)} of them do not answer, and what was loaded is not taken for gone: {_said(silent[0])}",
        )
    why = _why_not_loaded(known)
    if there:
        return LOADED.is_false("PartiallyLoaded", f"{has} {why.message}")
    return why


def _why_not_loaded(known: Facts) -> Condition:
    """What keeps the spec's version from the pods that have it not."""
    for each in known.failed:
        verdict = reasons.verdict(each.reason)
        if _is_worn_out(known, each):
            return LOADED.is_false("MaxAttemptsReached", f"{_said(each)} {_GIVEN_UP}")
        if verdict.condition is LOADED:
            return LOADED.is_false(verdict.reason, f"{_said(each)} {LOADED.reasons[verdict.reason]}")
        return LOADED.is_false("LoadFailed", f"{_said(each)} See {verdict.condition.name}.")
    waiting = [each for each in known.entries if each.state is not PodState.LOADED]
    if not waiting:
        return LOADED.is_false("NotPlaced", "There is no pod to load it. See Placed.")
    for each in waiting:
        verdict = reasons.verdict(each.reason)
        if each.reason in reasons.VERDICTS and verdict.condition is LOADED:
            return LOADED.is_false(verdict.reason, f"{_said(each)} {LOADED.reasons[verdict.reason]}")
    ready = {pod.uid for pod in known.pods if pod.ready}
    names = ", ".join(sorted(each.pod_name for each in waiting)[:5])
    if not any(each.pod_uid in ready for each in waiting):
        return LOADED.is_false("PodsNotReady", f"It is to be loaded on {names}, not ready yet. See the pods.")
    return LOADED.is_false("Loading", f"It is on its way to {names}.")


def _routed(known: Facts) -> Condition:
    current = known.decision.state.current
    if current is None or not known.serving:
        return ROUTED.is_false(
            "Excluded", "No pod that is ready has it loaded, so that none gets requests for it."
        )
    return ROUTED.is_true("InRotation", f"Requests go to {current.engine_name} on {len(known.serving)} pods.")


def _ready(known: Facts, steps: Sequence[Condition]) -> Condition:
    state, needed = known.decision.state, known.item.object.spec.placement.min_available
    lacking = next((each for each in steps if each.status is not Truth.TRUE), None)
    why = f" {lacking.type}: {lacking.message}" if lacking else ""
    if state.current is not None and len(known.serving) >= needed:
        serves = f"Revision {state.current.revision!r} serves from {len(known.serving)} pods."
        if state.target is not None and state.target.engine_name == state.current.engine_name:
            return READY.is_true("Ready", serves)
        lacks = (
            f" It takes over once it is loaded on {known.decision.lacking} more."
            if known.decision.lacking
            else ""
        )
        wanted = f" Revision {known.item.object.spec.revision!r} is not in rotation.{lacks}"
        return READY.is_true("EarlierRevision", f"{serves}{wanted}{why}")
    has = f"Loaded on {len(known.serving)} ready pods, {needed} are needed (placement.minAvailable)."
    if not known.serving:
        # What is known to be wrong says more than what is not known yet.
        for each in sorted(steps, key=lambda each: each.status is not Truth.FALSE):
            is_partial = each.type == PLACED.name and _is_placed_somewhere(known)
            if each.status is not Truth.TRUE and each.reason in READY.reasons and not is_partial:
                return READY.is_false(each.reason, each.message)
        if known.entries:
            return READY.is_false("PodsNotReady", f"{has} The pods that have it are not ready. See the pods.")
    return READY.is_false("TooFewLoaded", f"{has}{why}")


def _is_placed_somewhere(known: Facts) -> bool:
    """Whether some pod has a slot for it, so that it is not for want of slots that nothing is loaded."""
    choice = known.decision.choice
    return choice is not None and bool(choice.uids) and not any(map(_is_verdict(PLACED), known.failed))


def _is_verdict(condition: ConditionType) -> Callable[[PodStatus], bool]:
    return lambda each: reasons.verdict(each.reason).condition is condition


def _first(known: Facts, condition: ConditionType, concerns: Callable[[PodStatus], bool]) -> Condition | None:
    """What the first failed entry that concerns a condition says of it."""
    for each in known.failed:
        if concerns(each):
            reason = reasons.verdict(each.reason).reason
            advice = _GIVEN_UP if _is_worn_out(known, each) else condition.reasons[reason]
            return condition.is_false(reason, f"{_said(each)} {advice}")
    return None


def _is_given_up(each: PodStatus) -> bool:
    return each.state is PodState.FAILED and each.next_attempt_time is None


def _is_worn_out(known: Facts, each: PodStatus) -> bool:
    """Whether all attempts are used up."""
    return _is_given_up(each) and each.attempts >= known.item.object.spec.load.max_attempts


def _said(each: PodStatus) -> str:
    """A pod's trouble, and when it is tried again."""
    text = f"{each.pod_name}: {(each.message or each.reason).rstrip('.')}"
    if each.state is not PodState.FAILED:
        return f"{text} (attempt {each.attempts}; being tried again)." if each.attempts else f"{text}."
    if _is_given_up(each):
        return f"{text} (attempt {each.attempts}; not tried again before spec or pod change)."
    return f"{text} (attempt {each.attempts}; again at {(each.next_attempt_time or '')[:19]}Z)."
