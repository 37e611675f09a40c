"""What others learn of a run that has ended: quotas, caches, statistics of experiments."""

from dataclasses import dataclass, field
from typing import Protocol

from sluice_gateway.domain.model import Principal, Usage
from sluice_gateway.domain.run import RunState


@dataclass(frozen=True, slots=True)
class EndedRun:
    """How a run ended. No content."""

    run_id: str
    principal: Principal
    pipeline: str
    pipeline_version: str
    state: RunState
    reason: str
    seconds: float
    usage: Usage = field(default=Usage())
    """Tokens read and written up to the end, however the run ended."""
    experiment: str = ""
    arm: str = ""
    """The experiment's arm that the run was assigned to; empty where there is no experiment."""
    blocked_at: str = ""
    """The gate that blocked it."""
    cache: str = ""
    """What the cache gave: `hit`, `semantic`, `miss`, `coalesced` or `bypass`; empty where the pipeline has none."""
    groundedness: float | None = None
    """Of the answer, 0 to 1; None where it was not measured."""


class RunObserver(Protocol):
    """Is told of every run's end."""

    def run_ended(self, ended: EndedRun) -> None:
        """Takes note; must neither wait nor raise."""
