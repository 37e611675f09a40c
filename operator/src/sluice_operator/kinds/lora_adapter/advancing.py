"""The state at a pass's start: the last status, brought up to date with what has happened since. Pure.

Everything that outlives a pass is in the status, so that an operator that starts anew goes on where the last one was.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from sluice_api.objects.lora_adapter import LoRAAdapter, LoRAAdapterSpec
from sluice_api.statuses.lora_adapter import LoRAAdapterStatus, NamedVersion, PodState, PodStatus
from sluice_operator.agents.protocol import Ended, Load, Resolve, Unload
from sluice_operator.agents.views import PodView, Resolved, Version
from sluice_operator.kinds.lora_adapter import times
from sluice_operator.kinds.lora_adapter.context import Context
from sluice_operator.kinds.lora_adapter.looking import looked
from sluice_operator.kinds.lora_adapter.naming import engine_name
from sluice_operator.kinds.lora_adapter.reasons import RESTARTED
from sluice_operator.kinds.lora_adapter.state import (
    ON_THE_WAY,
    RETIRING,
    Key,
    State,
    changed,
    entry,
    failed,
    files,
    made_sure,
)
from sluice_operator.reconciling.kind import Item


def advance(item: Item[LoRAAdapter], context: Context, *, strays: bool) -> State:
    """The state, from the last status, the calls that have ended and what the agents say.

    Args:
        strays: Whether names with the adapter's alias that its status does not have are its own.
    """
    spec, pods = item.object.spec, {pod.uid: pod for pod in context.pods if not pod.leaving}
    status = context.status
    entries = _surviving(status, pods, context.now)
    state = State(_pinned(spec, status), status.in_rotation, status.previous, entries)
    for ended in context.ended:
        if ended.call.pod in pods:
            state = _ended(item, state, ended)
    if status.observed_generation != item.generation:
        # After what has ended: it was begun for the spec before.
        state = replace(state, entries=dict(_encouraged(state.entries)))
    # While no version is known, as where a status was lost, nobody can tell which of them is wanted.
    strays = strays and (bool(state.names) or item.deleted_at is not None)
    entries = looked(spec.model_name, state, pods.values(), context.now, strays=strays)
    return replace(state, entries=entries)


def _surviving(status: LoRAAdapterStatus, pods: Mapping[str, PodView], now: float) -> dict[Key, PodStatus]:
    """The entries of pods that live, with new courage where the engine has restarted."""
    entries = {}
    for each in (*status.pods, *_omitted(status, pods)):
        pod = pods.get(each.pod_uid)
        if pod is None:
            continue
        if pod.restarts != each.restart_count:
            if each.state in RETIRING or not each.engine_name:
                continue
            each = changed(
                each,
                PodState.PENDING,
                reason=RESTARTED,
                attempts=0,
                restart_count=pod.restarts,
                last_attempt_time=times.told(now),
            )
        entries[each.pod_uid, each.engine_name] = each
    return entries


def _encouraged(entries: Mapping[Key, PodStatus]) -> Iterator[tuple[Key, PodStatus]]:
    """Entries with new courage where they have failed."""
    for key, each in entries.items():
        if each.state is not PodState.FAILED:
            yield key, each
        elif each.engine_name:
            yield key, changed(each, PodState.PENDING, attempts=0)


def _omitted(status: LoRAAdapterStatus, pods: Mapping[str, PodView]) -> Iterator[PodStatus]:
    for uid in status.also_loaded:
        if uid in pods:
            yield entry(pods[uid], status.engine_name, PodState.LOADED)


def _pinned(spec: LoRAAdapterSpec, status: LoRAAdapterStatus) -> NamedVersion | None:
    """The spec's version, where its files are known: from its own resolution, or as that of an earlier version."""
    for known in (status.resolved, status.in_rotation, status.previous):
        if (
            known is not None
            and (known.revision, known.source) == (spec.revision, spec.source)
            and spec.digest in ("", known.digest)
            and spec.rank in (None, known.rank)
        ):
            fields = {name: getattr(known, name) for name in NamedVersion.model_fields}
            return NamedVersion.model_construct(
                **{**fields, "engine_name": engine_name(spec.model_name, files(known))}
            )
    return None


def _ended(item: Item[LoRAAdapter], state: State, ended: Ended) -> State:
    call, spec = ended.call, item.object.spec
    if isinstance(call, Resolve):
        if not call.config_digest:
            asked = (spec.source, spec.digest, spec.rank or 0)
            if state.target is not None or (call.source, call.digest, call.rank) != asked:
                return state
            if ended.resolved is not None and ended.trouble is None:
                return _pin(spec, state, ended.resolved)
            return _told(item, state, (call.pod, ""), ended)
        names = [
            version.engine_name
            for version in (state.target, state.current)
            if version is not None and files(version) == Version(call.digest, call.config_digest)
        ]
        for name in dict.fromkeys(names):
            state = _told(item, state, (call.pod, name), ended)
        return state
    return _told(item, state, (call.pod, call.name), ended)


def _told(item: Item[LoRAAdapter], state: State, key: Key, ended: Ended) -> State:
    """The end of a call for an entry; of no meaning where the entry has gone or moved on."""
    each = state.entries.get(key)
    if each is None or (each.reason == RESTARTED and ended.at - ended.seconds < made_sure(each)):
        return state  # the engine that was asked is not the one that runs
    new = _after(item, each, ended)
    return state if new is None else replace(state, entries={**state.entries, key: new})


def _after(item: Item[LoRAAdapter], each: PodStatus, ended: Ended) -> PodStatus | None:
    at = times.told(ended.at)
    match ended.call:
        case Unload() if ended.trouble is None:
            if each.state in RETIRING:
                return changed(each, PodState.UNLOADED, attempts=0, last_attempt_time=at)
            return changed(each, PodState.PENDING, last_attempt_time=at)
        case Resolve() | Load() if each.state not in ON_THE_WAY:
            return None
        case Resolve() if ended.trouble is None:
            return changed(each, PodState.LOADING, last_attempt_time=at)
        case Load() if ended.trouble is None:
            return changed(
                each, PodState.LOADED, attempts=0, last_attempt_time=at, load_seconds=round(ended.seconds, 3)
            )
    return failed(item, each, ended.trouble, ended.at) if ended.trouble else None


def _pin(spec: LoRAAdapterSpec, state: State, resolved: Resolved) -> State:
    target = NamedVersion(
        engine_name=engine_name(spec.model_name, resolved.version),
        revision=spec.revision,
        digest=resolved.version.digest,
        config_digest=resolved.version.config_digest,
        source=spec.source,
        origin=resolved.origin[:4096],
        rank=resolved.rank,
        base_model=resolved.base_model[:1024],
        target_modules=tuple(_cut(resolved.target_modules, 256, 253)),
        size_bytes=resolved.size_bytes,
        warnings=tuple(_cut(resolved.warnings, 16, 1024)),
    )
    return replace(state, target=target)


def _cut(texts: Iterable[str], count: int, length: int) -> list[str]:
    return [text[:length] for text in texts][:count]
