"""What has to be done for an adapter. Pure."""

from dataclasses import dataclass

from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_operator.kinds.lora_adapter.context import Context
from sluice_operator.kinds.lora_adapter.deciding import Decision, decide
from sluice_operator.reconciling.kind import Item, Plan


@dataclass(frozen=True, slots=True)
class Decided(Plan):
    """A plan, and the decision that it comes from: what is observed is told from it."""

    decision: Decision | None = None


def plan(item: Item[LoRAAdapter], context: Context) -> Plan:
    """The calls of agents to be started, as `Plan.actions`; those that go on already are not among them."""
    decision = decide(item, context)
    return Decided(actions=decision.calls, decision=decision)
