"""What all statuses share: conditions, and what their types and reasons mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from sluice_api.objects.base import Model


class Truth(StrEnum):
    """A condition's `status`."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class StatusPart(Model):
    """Base of every part of a status: what another version of the operator wrote and this one does not know is passed
    over."""

    model_config = ConfigDict(extra="ignore")


class Condition(StatusPart):
    """A `metav1.Condition`."""

    LIST_KEYS: ClassVar[tuple[str, ...]] = ("type",)

    type: Annotated[str, Field(max_length=316)]
    status: Truth
    reason: Annotated[
        str, Field(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")
    ]
    """A stable word; what it means stands in the reference."""
    message: Annotated[str, Field(max_length=32768)] = ""
    """What is so, and where it is not as it should be, what to do."""
    observed_generation: Annotated[int, Field(ge=0)] = 0
    last_transition_time: Annotated[str, Field(max_length=64)] = ""
    """When `status` last changed, in RFC 3339; the loop sets it."""


class Status(StatusPart):
    """What every kind says of itself."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The generation of the spec that this is about."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = ()
    """By `type`."""


@dataclass(frozen=True, slots=True)
class ConditionType:
    """A type of condition, and every reason that it can have."""

    name: str
    meaning: str
    reasons: Mapping[str, str]
    """What each means and, where something is wrong, what to do about it."""

    def is_true(self, reason: str, message: str = "") -> Condition:
        """The condition, which holds."""
        return self._condition(Truth.TRUE, reason, message)

    def is_false(self, reason: str, message: str = "") -> Condition:
        """The condition, which does not hold."""
        return self._condition(Truth.FALSE, reason, message)

    def is_unknown(self, reason: str, message: str = "") -> Condition:
        """The condition, of which nobody can tell."""
        return self._condition(Truth.UNKNOWN, reason, message)

    def _condition(self, status: Truth, reason: str, message: str) -> Condition:
        if reason not in self.reasons:
            raise ValueError(f"{self.name} has no reason {reason!r}")
        return Condition(type=self.name, status=status, reason=reason, message=message)


READY = "Ready"
"""The type of the condition that sums all others up; each kind declares its own reasons, and has these besides."""

#: Why a pass could not be made where trying again may help.
_PASSING = {
    "Unavailable": "The API server, or a service that the pass needs, cannot be reached. The operator tries again.",
    "TooManyRequests": "The API server has the operator wait. It tries again.",
    "Conflict": "Somebody else changed the same object at the same time. The operator tries again.",
    "NotFound": "Something that was there a moment ago is not, such as a namespace that is being deleted.",
}

#: Why a pass could not be made where a person has to do something.
_LASTING = {
    "Invalid": "The object is against the rules of its kind, in the field that the message names. Correct it.",
    "Refused": "The API server refuses an object that the operator makes. Correct what the message names.",
    "ImmutableField": "A change would need a new child object, and the operator deletes none for that. Undo the "
    "change, or delete the child by hand.",
    "PermissionDenied": "The operator's role does not let it do what the message names. Grant it.",
    "NotInstalled": "The cluster does not have the kind of object that is needed. Install it, or turn off what "
    "needs it.",
    "NameTaken": "An object that the operator did not make has the name of a child. Rename or delete one of them.",
    "InternalError": "The operator has a fault; its log says which. It tries again all the while.",
}

#: Reasons of `Ready` that the loop itself gives, whatever the kind.
READY_REASONS: Mapping[str, str] = _PASSING | _LASTING

RECONCILING = ConditionType(
    "Reconciling",
    "Work is under way; absent once it is done. kstatus, `kubectl wait` and Argo CD read it.",
    {"Progressing": "The last pass did its part; `Ready` says what it waits for."} | _PASSING,
)

STALLED = ConditionType(
    "Stalled",
    "Nothing will get better by itself; absent otherwise. kstatus, `kubectl wait` and Argo CD read it.",
    _LASTING,
)

#: Every kind has these besides its own; the loop adds them.
LOOP_CONDITIONS: tuple[ConditionType, ...] = (RECONCILING, STALLED)


def stalled(reason: str, message: str) -> Condition:
    """`Stalled` for a reason of a kind's own: what it says of `Ready` will not pass by itself."""
    return Condition(type=STALLED.name, status=Truth.TRUE, reason=reason, message=message)
