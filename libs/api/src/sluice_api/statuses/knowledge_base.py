"""The status of a `KnowledgeBase`."""

from sluice_api.statuses.base import ConditionType, Status


class KnowledgeBaseStatus(Status):
    """What the operator says of a `KnowledgeBase`."""


#: The conditions that it has, in the order in which they are reached; `Ready` sums them up.
CONDITIONS: tuple[ConditionType, ...] = ()
