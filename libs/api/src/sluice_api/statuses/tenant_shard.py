"""The status of a `TenantShard`."""

from sluice_api.statuses.base import ConditionType, Status


class TenantShardStatus(Status):
    """What the operator says of a `TenantShard`."""


#: The conditions that it has, in the order in which they are reached; `Ready` sums them up.
CONDITIONS: tuple[ConditionType, ...] = ()
