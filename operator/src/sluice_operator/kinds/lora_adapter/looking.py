"""Holds the entries of a pod against what its engine lists. Pure."""

from collections.abc import Mapping

from sluice_api.statuses.lora_adapter import PodState, PodStatus
from sluice_operator.agents.views import AgentView, PodView, Version
from sluice_operator.kinds.lora_adapter import times
from sluice_operator.kinds.lora_adapter.naming import listed_of
from sluice_operator.kinds.lora_adapter.reasons import NOT_LISTED, RESTARTED
from sluice_operator.kinds.lora_adapter.state import RETIRING, Key, State, changed, entry, files, made_sure


def look(
    model_name: str, state: State, entries: dict[Key, PodStatus], pod: PodView, now: float, *, strays: bool
) -> None:
    """Changes `entries` where the engine lists something else. An agent or engine that does not answer says nothing.

    Args:
        strays: Whether listed names with the adapter's alias that have no entry get one.
    """
    agent = pod.agent
    if agent is None or not agent.reachable or not agent.engine_reachable:
        return
    versions = {
        each.engine_name: files(each) for each in (state.previous, state.current, state.target) if each
    }
    for key in [key for key in entries if key[0] == pod.uid and key[1]]:
        if _is_newer(agent, entries[key]):
            found = _held(entries[key], agent.loaded, versions.get(key[1]), now)
            if found is None:
                del entries[key]
            else:
                entries[key] = found
    for name in listed_of(model_name, agent) if strays else ():
        if (pod.uid, name) not in entries:
            version = agent.loaded[name]
            is_kept = version is not None and versions.get(name) == version
            entries[pod.uid, name] = entry(pod, name, PodState.LOADED if is_kept else PodState.DRAINING)


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
