"""The port to the agents: calls are started here and go on by themselves; their ends wake who asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sluice_api.objects.lora_adapter import Source
from sluice_operator.agents.views import PodView, Resolved, Trouble, Version


@dataclass(frozen=True, slots=True)
class Resolve:
    """Brings an adapter's files to a pod and checks them."""

    pod: str
    """The pod's uid."""
    source: Source
    digest: str = ""
    """As the spec or an earlier pod's answer says; whatever is there when empty."""
    config_digest: str = ""
    rank: int = 0
    seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Load:
    """Has a pod's engine load what has been resolved there."""

    pod: str
    name: str
    """The versioned name in the engine."""
    version: Version
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Unload:
    """Has a pod's engine forget a name."""

    pod: str
    name: str
    seconds: float = 60.0


Call = Resolve | Load | Unload


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call that an adapter had asked for ended."""

    call: Call
    at: float
    """Seconds since the epoch."""
    seconds: float
    """It took."""
    resolved: Resolved | None = None
    """What a `Resolve` found."""
    trouble: Trouble | None = None
    """Why it failed; done where unset."""


@dataclass(frozen=True, slots=True)
class Running:
    """A call that goes on."""

    call: Call
    since: float
    phase: str = ""
    """`Waiting`, `Fetching` or `Checking` of a `Resolve`."""
    bytes: int = 0
    total_bytes: int = 0


class Agents(Protocol):
    """The agents of all pods, as an operator holds them."""

    def pods(self, namespace: str, model_server: str) -> Sequence[PodView]:
        """The replicas of a model server, by name, with what their agents have last said."""

    def start(self, asker: str, call: Call) -> bool:
        """Starts a call for the adapter that has a uid, and wakes that adapter when it ends. One that the same asker
        has going for the same pod and purpose is not started again: false. One load or unload at a time is made of a
        pod, and a bounded number of all calls; the others wait."""

    def running(self, asker: str) -> Sequence[Running]:
        """The asker's calls that have been started and have not ended."""

    def take_ended(self, asker: str) -> Sequence[Ended]:
        """The asker's calls that have ended since this was last asked; each is given once, the oldest first."""

    def forget(self, asker: str) -> None:
        """Ends what the asker has going; it is gone."""

    def engine_names_in_use(self, namespace: str, model_server: str) -> Mapping[str, frozenset[str]]:
        """By pod uid, the names that its engine lists; those of a load that is under way included."""
