"""What others learn of a run that has ended: quotas, caches, statistics of experiments."""

from dataclasses import dataclass, field
from typing import Protocol

from sluice_gateway.domain.model import Principal, Usage, Verdict
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
    model_name: str = ""
    """What the arm's answers are written by."""
    unit_bucket: int = 0
    """Which of 10,000 buckets of units, such as users, the run is of."""
    counted: bool = True
    """False where the run says nothing of its arm: it was pinned there, or sent there for want of another."""


def groundedness(verdict: Verdict) -> float | None:
    """What the output gate's verdict says of how far the passages carry the answer: 1 where they carry all of it. None
    where the detector did not read it to its end."""
    for report in verdict.reports:
        if report.detector == "groundedness" and report.state == "scanned":
            return min(1.0, max(0.0, 1.0 - report.score))
    return None


class RunObserver(Protocol):
    """Is told of every run's end."""

    def run_ended(self, ended: EndedRun) -> None:
        """Takes note; must neither wait nor raise."""
