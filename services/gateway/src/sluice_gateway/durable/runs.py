"""`DurableRuns` over an engine, the journal and the store of payloads."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from sluice_api.objects.pipeline import Audit, Payloads
from sluice_gateway.domain.clock import Clock
from sluice_gateway.domain.gating import INPUT, OUTPUT, PASSAGES
from sluice_gateway.domain.model import Decision, Principal
from sluice_gateway.domain.outcome import RunResult
from sluice_gateway.domain.planning import RunPlan
from sluice_gateway.domain.recording import Recorder
from sluice_gateway.domain.run import STANDARD, EventKind, Origin, RunRecord, RunState
from sluice_gateway.durable.kept_runs import KeptRuns
from sluice_gateway.durable.plan_codec import KeptPlan
from sluice_gateway.durable.port import Engine, PendingRun, Progress, Reference, StartedRun, WrongState
from sluice_gateway.journal.port import Journal
from sluice_gateway.payloads.port import PayloadNotRetained, PayloadStore
from sluice_servicekit.errors import InvalidArgument, NotFound

GATES = (INPUT, PASSAGES, OUTPUT)

#: The longest reason of an override, in characters.
_REASON = 500


class StandardRuns:
    """Starts, ends and makes durable runs; see `port.DurableRuns`."""

    def __init__(
        self,
        engine: Callable[[], Awaitable[Engine]],
        has_runs: Callable[[], bool],
        journal: Journal,
        payloads: PayloadStore,
        clock: Clock,
        new_run_id: Callable[[], str],
        settled: Callable[[str], Awaitable[None]],
    ) -> None:
        """
        Args:
            engine: Gives the engine once it is open, or raises `Unavailable`.
            has_runs: False where no engine was ever needed: there is nothing to find then, and none is opened.
            settled: Returns once all that is to be kept of a run is.
        """
        self._engine = engine
        self._has_runs = has_runs
        self._journal = journal
        self._kept_runs = KeptRuns(payloads, self._references, settled)
        self._clock = clock
        self._new_run_id = new_run_id

    async def start(self, plan: RunPlan, run_id: str = "") -> StartedRun:
        """Takes a run on; see `DurableRuns.start`."""
        return await self._start(KeptPlan(plan), run_id or self._new_run_id())

    async def cancel(self, tenant: str, run_id: str, actor: str) -> None:
        """Ends a run; see `DurableRuns.cancel`."""
        record = await self._record(tenant, run_id)
        if record is not None and record.executor != STANDARD:
            raise WrongState(
                "only runs in the background can be cancelled; this one ends when its caller goes away",
                reason="RUN_NOT_DURABLE",
            )
        if record is not None and record.ended is not None:
            raise _wrong_state(record, "it cannot be cancelled")
        pending = await (await self._engine()).find(run_id)
        if not await (await self._engine()).cancel(run_id):
            raise WrongState("the run has ended; it cannot be cancelled", reason="RUN_ENDED")
        record = await self._record(tenant, run_id)
        if record is not None and record.ended is not None:
            return
        recorder = self._recorder(tenant, run_id, pending.pipeline if pending else "")
        if record is None:
            recorder.run_started("", {"executor": STANDARD})
        recorder.run_ended(RunState.CANCELLED, f"cancelled by {actor or 'nobody named'}")
        await self._journal.commit()

    async def resume(self, tenant: str, run_id: str, actor: str) -> None:
        """Has a run go on; see `DurableRuns.resume`."""
        record = await self._record(tenant, run_id)
        if record is not None and record.executor != STANDARD:
            raise WrongState(
                "only runs in the background can be resumed; fork this one", reason="RUN_NOT_DURABLE"
            )
        if record is None or record.state not in (RunState.FAILED, RunState.CANCELLED):
            raise _wrong_state(record, "only what failed or was cancelled can be resumed")
        await self._kept_runs.plan(tenant, run_id)
        pending = await (await self._engine()).find(run_id)
        if pending is None:
            raise WrongState("it is too long ago to be resumed; fork it", reason="RUN_FORGOTTEN")
        if pending.progress is Progress.ACTIVE:
            raise WrongState("the run goes on already", reason="RUN_ACTIVE")
        # First the journal: an execution that finds the run ended takes it for one whose end alone was lost.
        self._recorder(tenant, run_id, pending.pipeline).run_resumed({"because": "ASKED", "actor": actor})
        await self._journal.commit()
        await (await self._engine()).resume(run_id)

    async def fork(self, tenant: str, run_id: str, from_step: str, actor: str) -> StartedRun:
        """Makes another run of this one; see `DurableRuns.fork`."""
        return await self._descend(
            tenant, run_id, from_step, EventKind.RUN_FORKED, "forked", {"actor": actor}
        )

    async def override(
        self, tenant: str, run_id: str, gate: str, decision: Decision, reason: str, actor: str
    ) -> StartedRun:
        """Turns a gate's decision; see `DurableRuns.override`."""
        if gate not in GATES:
            raise InvalidArgument(f"{gate!r} is no gate; there is: {', '.join(GATES)}", field="gate")
        if decision not in (Decision.ALLOW, Decision.BLOCK):
            raise InvalidArgument("decision must be allow or block", field="decision")
        if not 0 < len(reason.strip()) <= _REASON:
            raise InvalidArgument(f"say why, in {_REASON} characters: the journal keeps it", field="reason")
        return await self._descend(
            tenant,
            run_id,
            gate,
            EventKind.RUN_OVERRIDDEN,
            "overridden",
            {"actor": actor},
            pins={gate: decision},
            reason=reason.strip(),
        )

    async def promote(self, tenant: str, run_id: str, step: str) -> StartedRun:
        """Goes on with an Express run; see `DurableRuns.promote`."""
        return await self._descend(tenant, run_id, step, EventKind.RUN_PROMOTED, "promoted", {})

    async def asked_by(self, tenant: str, run_id: str) -> Principal:
        """Who asked; see `DurableRuns.asked_by`."""
        return (await self._kept_runs.plan(tenant, run_id)).plan.request.principal

    async def pending(self, run_id: str) -> PendingRun | None:
        """A run that the journal does not have yet; see `DurableRuns.pending`."""
        if not self._has_runs():
            return None
        return await (await self._engine()).find(run_id)

    async def result(self, tenant: str, run_id: str) -> RunResult | None:
        """What the run gave; see `DurableRuns.result`."""
        return await self._kept_runs.result(tenant, run_id)

    async def wait(self, run_id: str, seconds: float) -> bool:
        """Waits for the run's end; see `DurableRuns.wait`."""
        return await (await self._engine()).wait(run_id, seconds)

    async def seed(self, run_id: str) -> None:
        """Notes in a run's plan what its steps have given, so that an engine that forgets them runs none again."""
        if pending := await (await self._engine()).find(run_id):
            with suppress(PayloadNotRetained):  # the execution says so in the journal
                await self._kept_runs.seed(pending.tenant, run_id)

    async def _references(self, run_id: str) -> Mapping[str, Reference]:
        return await (await self._engine()).references(run_id)

    async def _start(self, kept: KeptPlan, run_id: str) -> StartedRun:
        request, spec = kept.plan.request, kept.plan.pipeline.spec
        if spec.payloads is Payloads.NONE:
            raise PayloadNotRetained(
                f"the pipeline {request.pipeline!r} keeps no payloads, and a durable run cannot do without; "
                "set payloads to sealed"
            )
        tenant = request.principal.tenant
        # It is withheld as a whole: nobody reads along.
        plan = replace(kept.plan, request=replace(request, stream=False))
        plan = replace(plan, guarding=replace(plan.guarding, retrieval_waits=True))
        # The same id again must not change what an execution goes by.
        if await (await self._engine()).find(run_id) is None:
            await self._kept_runs.keep(run_id, replace(kept, plan=plan))
            await (await self._engine()).enqueue(tenant, run_id, request.pipeline)
        return StartedRun(run_id, tenant)

    async def _descend(
        self,
        tenant: str,
        run_id: str,
        from_step: str,
        kind: EventKind,
        how: str,
        detail: Mapping[str, str],
        *,
        pins: Mapping[str, Decision] | None = None,
        reason: str = "",
    ) -> StartedRun:
        record = await self._record(tenant, run_id)
        if record is None or record.ended is None:
            raise WrongState("the run goes on; cancel it or wait for its end", reason="RUN_ACTIVE")
        kept = await self._kept_runs.plan(tenant, run_id)
        steps = [step.name for step in record.steps]
        if from_step not in steps:
            there = ", ".join(steps) or "none"
            raise InvalidArgument(f"the run has no step {from_step!r}; it has: {there}", field="from_step")
        new_id = self._new_run_id()
        seed = await self._kept_runs.copy(tenant, run_id, new_id, steps[: steps.index(from_step)])
        descended = replace(
            kept,
            pins={**{gate: pin for gate, pin in kept.pins.items() if gate in seed}, **(pins or {})},
            seed=seed,
            origin=Origin(run_id, how, from_step),
        )
        recorder = self._recorder(tenant, run_id, record.pipeline)
        decision = str(next(iter(pins.values()))) if pins else ""
        told = {**detail, f"{how}_by": new_id}
        recorder.run_descended(kind, from_step, decision=decision, reason=reason, detail=told)
        await self._journal.commit()  # before anything happens: who turned a decision is never lost
        return await self._start(descended, new_id)

    async def _record(self, tenant: str, run_id: str) -> RunRecord | None:
        record = await self._journal.run(run_id)
        if record is not None and record.tenant != tenant:
            raise NotFound(f"there is no run {run_id!r}", reason="RUN_NOT_FOUND")
        return record

    def _recorder(self, tenant: str, run_id: str, pipeline: str) -> Recorder:
        return Recorder(self._journal, self._clock, run_id, tenant, pipeline, Audit.REQUIRED)


def _wrong_state(record: RunRecord | None, rule: str) -> WrongState:
    state = RunState.RUNNING if record is None else record.state
    return WrongState(f"the run is {state}: {rule}", metadata={"state": str(state)})
