"""What a pass over an adapter depends on."""

from dataclasses import dataclass

from sluice_api.objects.model_server import ModelServer
from sluice_api.statuses.lora_adapter import LoRAAdapterStatus
from sluice_operator.agents.protocol import Ended, Running
from sluice_operator.agents.views import PodView


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another adapter of the same server; those that are being deleted are among them."""

    uid: str
    name: str
    model_name: str
    created_at: str
    """RFC 3339; of two that claim an alias the older has it."""
    pods: tuple[str, ...]
    """Uids of the pods where it takes a slot, each as often as it takes one: its status says so (`slots.taken`), or the
    load of a name that its status does not have is under way."""


@dataclass(frozen=True, slots=True)
class Context:
    """Gathered at a pass's start."""

    now: float
    """Seconds since the epoch."""
    created_at: str
    status: LoRAAdapterStatus
    """As the last pass left it."""
    server: ModelServer | None
    pods: tuple[PodView, ...]
    """Of the server, by name."""
    siblings: tuple[Sibling, ...]
    running: tuple[Running, ...]
    ended: tuple[Ended, ...]
    """Since the last pass."""
    retired_by: str = ""
    """The experiment that has done with it; none where empty."""
