"""How an adapter leaves: out of rotation, drained, unloaded, made sure of. Pure."""

from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_operator.agents.protocol import Call
from sluice_operator.kinds.lora_adapter.context import Context
from sluice_operator.reconciling.kind import Item, Leaving


def plan_deletion(item: Item[LoRAAdapter], context: Context) -> tuple[tuple[Call, ...], Leaving]:
    """The calls of one pass of a deletion, and how far it is.

    Where it ends with a status, something may still be loaded: the message of its `Loaded` condition
    (`UnloadTimedOut`) says what and where, and belongs into an event, since nobody can read the status any more.
    """
    return (), Leaving(done=True)
