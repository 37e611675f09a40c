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

    LIST_KEY: ClassVar[str] = "type"

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
