"""What people and other kinds are told of an adapter. Pure."""

from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_operator.kinds.lora_adapter.context import Context
from sluice_operator.reconciling.kind import Item, Observation, Plan


def observe(item: Item[LoRAAdapter], context: Context, plan: Plan) -> Observation:
    """The status that the next pass starts from. `plan` is what `plan` gave for the same context."""
    return Observation(context.status)
