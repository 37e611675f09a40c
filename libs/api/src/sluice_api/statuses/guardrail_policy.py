"""The status of a `GuardrailPolicy`."""

from typing import Final

from sluice_api.statuses.base import READY, READY_REASONS, ConditionType
from sluice_api.statuses.distributed import COMPILED, DISTRIBUTED, DistributedStatus


class GuardrailPolicyStatus(DistributedStatus):
    """What the operator says of a `GuardrailPolicy`."""


READY_CONDITION: Final = ConditionType(
    READY,
    "The newest spec is in force in every process.",
    {"Ready": "It is."}
    | {reason: meaning for reason, meaning in COMPILED.reasons.items() if reason != "Compiled"}
    | {reason: meaning for reason, meaning in DISTRIBUTED.reasons.items() if reason != "Acknowledged"}
    | dict(READY_REASONS),
)

#: The conditions that it has, in the order in which they are reached; `Ready` sums them up.
CONDITIONS: tuple[ConditionType, ...] = (COMPILED, DISTRIBUTED, READY_CONDITION)
