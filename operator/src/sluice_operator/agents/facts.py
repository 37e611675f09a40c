"""A pod's object, as far as its agent and its engine go."""

from dataclasses import dataclass
from typing import Any

from sluice_operator.cluster.protocol import Manifest
from sluice_operator.kinds.model_server import layout


@dataclass(frozen=True, slots=True)
class Facts:
    """What the API server says of a pod."""

    uid: str
    name: str
    namespace: str
    address: str
    restarts: int
    ready: bool
    leaving: bool
    node: str

    @classmethod
    def of(cls, pod: Manifest) -> "Facts":
        """A pod that has the label of a model server."""
        metadata, status = pod["metadata"], pod.get("status") or {}
        engine = _engine(status.get("containerStatuses") or ())
        return cls(
            uid=str(metadata["uid"]),
            name=metadata["name"],
            namespace=metadata["namespace"],
            address=status.get("podIP") or "",
            restarts=int(engine.get("restartCount") or 0),
            ready=bool(engine.get("ready")),
            leaving=bool(metadata.get("deletionTimestamp")),
            node=(pod.get("spec") or {}).get("nodeName") or "",
        )


def _engine(statuses: Any) -> Any:
    """Of the container that is named so; of pods that others made, of the first that is not the agent's."""
    others = [each for each in statuses if each["name"] != layout.AGENT]
    return next((each for each in others if each["name"] == layout.ENGINE), others[0] if others else {})
