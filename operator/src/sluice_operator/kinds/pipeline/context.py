"""What a pass over a pipeline depends on."""

from dataclasses import dataclass
from enum import StrEnum

from sluice_api.statuses.pipeline import PipelineStatus
from sluice_operator.snapshots.views import View


class Presence(StrEnum):
    """Whether what is referred to can be used."""

    THERE = "there"
    DELETED = "deleted"
    """And kept in force."""
    UNUSABLE = "unusable"
    """There, and never in force."""
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Referent:
    """What a pipeline refers to."""

    field: str
    kind: str
    name: str
    presence: Presence
    not_ready: str = ""
    """Why, in its own words; empty where it is ready, or says nothing of it."""


@dataclass(frozen=True, slots=True)
class Context:
    """Gathered at a pass's start."""

    status: PipelineStatus
    """As the last pass left it."""
    view: View
    referents: tuple[Referent, ...]
    resting: tuple[str, ...] = ()
    """Adapters that its steps name by their alias, and that are not ready."""
