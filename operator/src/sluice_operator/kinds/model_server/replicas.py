"""What a pod is about: whether its vLLM answers, and if not, why. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sluice_operator.agents.views import PodView
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.kinds.model_server import layout

#: Why a pod does not answer, the gravest first; reasons of `Available`.
GRAVEST: Final = (
    "ImagePullFailed",
    "ContainerRefused",
    "OutOfMemory",
    "CrashLooping",
    "WrongModel",
    "Unschedulable",
    "NotResponding",
    "LoadingWeights",
    "Starting",
)
#: Of them, those that nothing mends but a person.
LASTING: Final = ("ImagePullFailed", "ContainerRefused", "OutOfMemory", "CrashLooping", "WrongModel")

_PULLING: Final = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
    "ImageInspectError",
)
_REFUSED: Final = (
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "PreStartHookError",
)
_KILLED: Final = "OOMKilled"
#: Restarts from which on the next one is expected.
_AGAIN: Final = 2


@dataclass(frozen=True, slots=True)
class Replica:
    """A pod of a server."""

    uid: str
    name: str
    address: str
    restarts: int
    """Of vLLM's container."""
    ready: bool
    """vLLM answers its probe, and serves the right model."""
    leaving: bool
    """It is being deleted."""
    reason: str = ""
    """Of `Available`; empty where it answers."""
    detail: str = ""
    """The same in words, the pod's name left out."""
    agent: PodView | None = None
    agent_detail: str = ""
    """Why the agent's container does not run; empty where it does, or nobody says."""


def replica(pod: Manifest, base_model: str, view: PodView | None) -> Replica:
    """What the API server says of a pod, and its agent."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    engine = _container(status, layout.ENGINE)
    reason, detail = _trouble(status, engine, base_model, view)
    return Replica(
        uid=str(metadata["uid"]),
        name=str(metadata["name"]),
        address=str(status.get("podIP") or ""),
        restarts=int(engine.get("restartCount") or 0),
        ready=not reason and bool(status.get("podIP")),
        leaving=bool(metadata.get("deletionTimestamp")),
        reason=reason,
        detail=detail,
        agent=view,
        agent_detail=_idle(_container(status, layout.AGENT)),
    )


def _trouble(
    status: Mapping[str, Any], engine: Mapping[str, Any], base_model: str, view: PodView | None
) -> tuple[str, str]:
    if engine.get("ready"):
        return _model(base_model, view)
    state = engine.get("state") or {}
    for waiting in (state.get("waiting") or {}, *_init_waits(status)):
        if waiting.get("reason") in _PULLING:
            return "ImagePullFailed", _said(waiting)
        if waiting.get("reason") in _REFUSED:
            return "ContainerRefused", _said(waiting)
    if running := state.get("running"):
        since = running.get("startedAt") or "its start"
        if engine.get("started"):
            return "NotResponding", "vLLM had started and its readiness probe fails"
        loading = f"vLLM has been loading the model since {since}"
        if ended := _ended(engine):
            once = int(engine.get("restartCount") or 0) < _AGAIN
            return "LoadingWeights" if once else ended[0], f"{loading}; before, {ended[1]}"
        return "LoadingWeights", loading
    if ended := _ended(engine):
        return ended
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        return "Unschedulable", str(scheduled.get("message") or "no node has room")
    return "Starting", str((state.get("waiting") or {}).get("reason") or "its containers have not started")


def _model(base_model: str, view: PodView | None) -> tuple[str, str]:
    models = view.agent.models if view is not None and view.agent is not None else ()
    if models and base_model not in models:
        return "WrongModel", f"vLLM serves {', '.join(models)} and not {base_model}"
    return "", ""


def _ended(engine: Mapping[str, Any]) -> tuple[str, str] | None:
    """How vLLM last ended, if it has."""
    for state in (engine.get("state") or {}, engine.get("lastState") or {}):
        if ended := state.get("terminated"):
            times = int(engine.get("restartCount") or 0)
            detail = f"vLLM ended with exit code {ended.get('exitCode')}, {times} restarts so far"
            if ended.get("reason") == _KILLED:
                return "OutOfMemory", f"{detail}: it used more memory than its limit"
            return "CrashLooping", detail
    return None


def _idle(agent: Mapping[str, Any]) -> str:
    state = agent.get("state") or {}
    if waiting := state.get("waiting"):
        return _said({"reason": "Waiting", **waiting})
    if ended := state.get("terminated"):
        return f"it ended with exit code {ended.get('exitCode')}"
    return ""


def _init_waits(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Of containers that `podTemplate` has run first."""
    for container in status.get("initContainerStatuses") or ():
        yield (container.get("state") or {}).get("waiting") or {}


def _container(status: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    for container in status.get("containerStatuses") or ():
        if container.get("name") == name:
            found: Mapping[str, Any] = container
            return found
    return {}


def _condition(status: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    for condition in status.get("conditions") or ():
        if condition.get("type") == name:
            found: Mapping[str, Any] = condition
            return found
    return {}


def _said(waiting: Mapping[str, Any]) -> str:
    return f"{waiting['reason']}: {waiting.get('message') or 'the kubelet says no more'}"
