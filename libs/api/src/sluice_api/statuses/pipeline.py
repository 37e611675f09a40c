"""The status of a `Pipeline`."""

from typing import Final

from sluice_api.statuses.base import READY, READY_REASONS, ConditionType
from sluice_api.statuses.distributed import COMPILED, DISTRIBUTED, DistributedStatus


class PipelineStatus(DistributedStatus):
    """What the operator says of a `Pipeline`."""


REFERENCES_RESOLVED: Final = ConditionType(
    "ReferencesResolved",
    "All that the newest spec refers to is there.",
    {
        "Resolved": "It is.",
        "NotFound": "Something is not there. Create it, or correct the name that the message gives.",
        "Unusable": "Something is there but has never been in force, so that it cannot be referred to. Its own "
        "`Compiled` says why.",
        "Deleted": "Something is deleted. Its last spec stays in force for as long as a Pipeline refers to it, so that "
        "no gate is lost: create it again, or refer to another.",
    },
)
DEPENDENCIES_READY: Final = ConditionType(
    "DependenciesReady",
    "What the pipeline needs says that it is ready: knowledge bases, policy, model servers, and adapters that its "
    "steps name.",
    {
        "Ready": "All of it does, as far as it says anything.",
        "NotReady": "Something does not; the message names it, and its own conditions say why.",
        "Missing": "Something that it refers to is not there. See `ReferencesResolved`.",
        "AdaptersResting": "An adapter is not ready; the base model answers in its place meanwhile. The adapter's "
        "conditions say why.",
    },
)
READY_CONDITION: Final = ConditionType(
    READY,
    "The newest spec is in force in every process, and what it needs is ready.",
    {"Ready": "It is."}
    | {reason: meaning for reason, meaning in COMPILED.reasons.items() if reason != "Compiled"}
    | {reason: meaning for reason, meaning in DISTRIBUTED.reasons.items() if reason != "Acknowledged"}
    | {
        "Deleted": REFERENCES_RESOLVED.reasons["Deleted"],
        "NotReady": DEPENDENCIES_READY.reasons["NotReady"],
    }
    | dict(READY_REASONS),
)

#: The conditions that it has, in the order in which they are reached; `Ready` sums them up.
CONDITIONS: tuple[ConditionType, ...] = (
    REFERENCES_RESOLVED,
    COMPILED,
    DISTRIBUTED,
    DEPENDENCIES_READY,
    READY_CONDITION,
)
