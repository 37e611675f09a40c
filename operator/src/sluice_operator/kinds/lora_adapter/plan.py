"""What has to be done for an adapter. Pure."""

from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_operator.kinds.lora_adapter.context import Context
from sluice_operator.kinds.lora_adapter.deciding import decide
from sluice_operator.reconciling.kind import Item, Plan


def plan(item: Item[LoRAAdapter], context: Context) -> Plan:
    """The calls of agents to be started, as `Plan.actions`; those that go on already are not among them."""
    return Plan(actions=decide(item, context).calls)
