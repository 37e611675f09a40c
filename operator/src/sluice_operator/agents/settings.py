"""How the agents of all pods are asked."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """Bounds and paces; times in seconds."""

    port: int = 9200
    """That every agent listens on."""
    interval: float = 5.0
    """Between two looks at an agent, give or take a fifth. Whatever happens to a pod has it looked at once more at
    once."""
    status_seconds: float = 12.0
    """That an agent may take to tell its status: it gives its vLLM 10 s."""
    statuses: int = 16
    """Agents that are asked for their status at a time."""
    loads: int = 32
    """Loads and unloads at a time, over all pods; each pod makes one at a time."""
    resolves: int = 128
    """Resolves at a time, over all pods: they wait for the network, and cost the operator next to nothing."""
    resolves_of_a_pod: int = 4
    suspects: int = 8
    """Loads and unloads at a time of pods whose agent did not answer when it was last asked: they may all wait for
    their deadlines, and hold up no others."""
    token_seconds: float = 5.0
    """Between two reads of a Secret whose token is refused."""
