"""The status of a `ModelServer`."""

from sluice_api.statuses.base import ConditionType, Status


class ModelServerStatus(Status):
    """What the operator says of a `ModelServer`."""


#: The conditions that it has, in the order in which they are reached; `Ready` sums them up.
CONDITIONS: tuple[ConditionType, ...] = ()
