"""What the gateway needs of durable runs, and what those need of an engine. DBOS is one; nothing here knows it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sluice_gateway.domain.model import Decision, Principal
from sluice_gateway.domain.outcome import RunResult
from sluice_gateway.domain.planning import RunPlan
from sluice_servicekit.errors import Conflict

Reference = Mapping[str, str]
"""What an engine keeps of a step: where its output is, or why it failed. Never content."""


class WrongState(Conflict):
    """The run is not in a state in which that can be done."""

    default_reason = "RUN_STATE"


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run that has been taken on."""

    run_id: str
    tenant: str


class DurableRuns(Protocol):
    """Durable runs, for whoever may ask for them: rights are checked by the caller."""

    async def start(self, plan: RunPlan, run_id: str = "") -> StartedRun:
        """Takes a run on; it is durable when this returns. The same id again is the same run.

        Raises:
            PayloadNotRetained: its pipeline keeps no payloads.
            Unavailable: the engine is starting, or its database cannot be reached.
        """

    async def cancel(self, tenant: str, run_id: str, actor: str) -> None:
        """Ends a run, on whichever replica it goes on.

        Raises:
            WrongState: it has ended, or is no durable run.
        """

    async def resume(self, tenant: str, run_id: str, actor: str) -> None:
        """Has a run that failed or was cancelled go on from its first step that has not finished.

        Raises:
            WrongState: it did not end so, or is no durable run.
            PayloadNotRetained: its payloads are gone.
        """

    async def fork(self, tenant: str, run_id: str, from_step: str, actor: str) -> StartedRun:
        """Makes another run of this one, which has the outputs of all steps before `from_step`.

        Raises:
            InvalidArgument: the run has no such step; the message names those it has.
            WrongState: the run goes on.
            PayloadNotRetained: its payloads are gone.
        """

    async def override(
        self, tenant: str, run_id: str, gate: str, decision: Decision, reason: str, actor: str
    ) -> StartedRun:
        """Records that a person turns a gate's decision, and forks from that gate with the decision pinned; raises as
        `fork` does."""

    async def promote(self, tenant: str, run_id: str, step: str) -> StartedRun:
        """Has a failed Express run go on in the background from the step that failed; raises as `fork` does."""

    async def asked_by(self, tenant: str, run_id: str) -> Principal:
        """Who asked.

        Raises:
            PayloadNotRetained: it is not known any more.
        """

    async def pending(self, run_id: str) -> "PendingRun | None":
        """A run that has been taken on and is in no journal yet."""

    async def result(self, tenant: str, run_id: str) -> RunResult | None:
        """What the run gave; None where it has not ended with a result, or that is not kept any more."""

    async def wait(self, run_id: str, seconds: float) -> bool:
        """Waits until the run has ended, `seconds` at most; True where it has."""


class Progress(StrEnum):
    """How an engine sees a run."""

    ACTIVE = "active"
    """It waits or goes on."""
    DONE = "done"
    """Its body has returned: answered, blocked, degraded or failed."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class PendingRun:
    """A run as its engine has it."""

    run_id: str
    tenant: str
    pipeline: str
    progress: Progress
    created: float
    """Unix seconds."""


class Checkpoint(Protocol):
    """Makes the steps of one execution of a run durable."""

    async def once(self, step: str, work: Callable[[], Awaitable[Reference]]) -> Reference:
        """What `work` gave when the step finished before; else what it gives, which is kept."""


class Body(Protocol):
    """Executes a run. May be called again for the same run, also while an earlier call has not noticed yet that its
    process is taken for dead."""

    async def __call__(self, tenant: str, run_id: str, checkpoint: Checkpoint) -> None: ...

    def abandon(self, run_id: str) -> None:
        """What is executed of the run here is about to be stopped, and must say no more of it."""


class Engine(Protocol):
    """Executes bodies durably: each run at least once to its end, on one replica at a time."""

    async def enqueue(self, tenant: str, run_id: str, pipeline: str) -> None:
        """Takes a run on; durable when this returns. The same id again changes nothing."""

    async def cancel(self, run_id: str) -> bool:
        """Ends a run; False where it is over already."""

    async def resume(self, run_id: str) -> None:
        """Has a run go on that was cancelled or whose last step failed, with the outputs of all others."""

    async def find(self, run_id: str) -> PendingRun | None:
        """The run; None where there is none, or it was so long ago that it has been forgotten."""

    async def references(self, run_id: str) -> Mapping[str, Reference]:
        """What is kept of the finished steps, in their order."""

    async def wait(self, run_id: str, seconds: float) -> bool:
        """Waits until the run is not active, `seconds` at most; True where it is not."""
