"""Holds entries against what the engines list. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from sluice_api.statuses.lora_adapter import PodState, PodStatus
from sluice_operator.agents.views import AgentView, PodView, Version
from sluice_operator.kinds.lora_adapter import times
from sluice_operator.kinds.lora_adapter.naming import listed_of
from sluice_operator.kinds.lora_adapter.reasons import NOT_LISTED, RESTARTED
from sluice_operator.kinds.lora_adapter.state import RETIRING, Key, State, changed, entry, files, made_sure


def looked(
    model_name: str, state: State, pods: Iterable[PodView], now: float, *, strays: bool
) -> dict[Key, PodStatus]:
    """The entries, changed where engines list something else. An agent or engine that does not answer says nothing.

    Args:
        strays: Whether listed names with the adapter's alias that have no entry get one.
    """
    entries = dict(state.entries)
    versions = {
        each.engine_name: files(each) for each in (state.previous, state.current, state.target) if each
    }
    names: dict[str, list[str]] = defaultdict(list)
    for uid, name in entries:
        names[uid] += [name] if name else []
    for pod in pods:
        agent = pod.agent
        if agent is None or not agent.reachable or not agent.engine_reachable:
            continue
        for key in ((pod.uid, name) for name in names[pod.uid]):
            if _is_newer(agent, entries[key]):
                found = _held(entries.pop(key), agent.loaded, versions.get(key[1]), now)
                if found is not None:
                    entries[key] = found
        if strays:
            entries.update(_strays(model_name, versions, entries, pod, agent))
    return entries


def _strays(
    model_name: str,
    versions: Mapping[str, Version],
    entries: Mapping[Key, PodStatus],
    pod: PodView,
    agent: AgentView,
) -> dict[Key, PodStatus]:
    """Entries for what the engine lists beside them."""
    found = {}
    for name in listed_of(model_name, agent):
        if (pod.uid, name) not in entries:
            version = agent.loaded[name]
            is_kept = version is not None and versions.get(name) == version
            found[pod.uid, name] = entry(pod, name, PodState.LOADED if is_kept else PodState.DRAINING)
    return found


def _held(
    each: PodStatus, listed: Mapping[str, Version | None], version: Version | None, now: float
) -> PodStatus | None:
    """An entry, by what the engine lists; none where it is out."""
    is_listed = each.engine_name in listed
    is_right = is_listed and version is not None and listed[each.engine_name] == version
    if each.state in RETIRING:
        if not is_listed:
            return None
        return changed(each, PodState.DRAINING) if each.state is PodState.UNLOADED else each
    if each.state is PodState.LOADED and not is_right:
        said = "vLLM has other files under the name" if is_listed else "vLLM does not list it any more"
        return changed(each, PodState.PENDING, attempts=0, reason=NOT_LISTED, message=said)
    if each.state is not PodState.LOADED and is_right:
        return changed(each, PodState.LOADED, attempts=0, last_attempt_time=times.told(now))
    return each


def _is_newer(agent: AgentView, each: PodStatus) -> bool:
    """Whether the agent was asked after the entry's state was made sure of."""
    return agent.at > made_sure(each) if agent.at else each.reason != RESTARTED
