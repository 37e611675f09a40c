"""The status of a `Pipeline`."""

from sluice_api.statuses.base import ConditionType, Status


class PipelineStatus(Status):
    """What the operator says of a `Pipeline`."""


#: The conditions that it has, in the order in which they are reached; `Ready` sums them up.
CONDITIONS: tuple[ConditionType, ...] = ()
