"""The status of a `AdapterExperiment`."""

from sluice_api.statuses.base import ConditionType, Status


class AdapterExperimentStatus(Status):
    """What the operator says of a `AdapterExperiment`."""


#: The conditions that it has, in the order in which they are reached; `Ready` sums them up.
CONDITIONS: tuple[ConditionType, ...] = ()
