"""The status of a `LoRAAdapter`."""

from sluice_api.statuses.base import ConditionType, Status


class LoRAAdapterStatus(Status):
    """What the operator says of a `LoRAAdapter`."""


#: The conditions that it has, in the order in which they are reached; `Ready` sums them up.
CONDITIONS: tuple[ConditionType, ...] = ()
