"""The status of a `GuardrailPolicy`."""

from sluice_api.statuses.base import ConditionType, Status


class GuardrailPolicyStatus(Status):
    """What the operator says of a `GuardrailPolicy`."""


#: The conditions that it has, in the order in which they are reached; `Ready` sums them up.
CONDITIONS: tuple[ConditionType, ...] = ()
