"""Durable runs as callers may have them: who may start, see, end, fork and override which."""

from collections.abc import Callable
from dataclasses import dataclass

from sluice_api.snapshot import Snapshot
from sluice_gateway.domain.access import Role, has_role, require
from sluice_gateway.domain.executor import Executor
from sluice_gateway.domain.limiting.estimate import estimated
from sluice_gateway.domain.model import Decision, Principal, RunRequest
from sluice_gateway.domain.outcome import ADMIT, RunFailedError, RunResult
from sluice_gateway.domain.run import STANDARD, RunRecord, RunState
from sluice_gateway.durable.port import DurableRuns, StartedRun
from sluice_gateway.gateway import Gateway, new_run_id
from sluice_gateway.payloads.port import PayloadNotRetained
from sluice_servicekit.errors import (
    DeadlineExceeded,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    ServiceError,
    Unavailable,
)

#: Ends that give a result.
_WITH_RESULT = frozenset({RunState.ANSWERED, RunState.DEGRADED, RunState.BLOCKED})

#: Seconds in which an execution keeps what it gave.
_A_MOMENT = 2.0

_RETRYABLE = (Unavailable, DeadlineExceeded, ResourceExhausted)


@dataclass(frozen=True, slots=True)
class RunView:
    """A run, and what it gave where it ended with a result that is kept and that the caller may see."""

    record: RunRecord
    result: RunResult | None


class RunControl:
    """Checks what a principal may do with runs, then does it.

    Whoever may ask may start runs, and see, end, resume and fork those that they asked for: the same subject, with no
    less access to documents. Writers may also end the runs of others of their tenant, admins do all, and only admins
    override.
    """

    def __init__(
        self, gateway: Gateway, executor: Executor, runs: DurableRuns, snapshot: Callable[[], Snapshot]
    ) -> None:
        self._gateway = gateway
        self._executor = executor
        self._runs = runs
        self._snapshot = snapshot

    async def start(
        self, principal: Principal, model: str, read: Callable[[], RunRequest], run_id: str = ""
    ) -> StartedRun:
        """Starts a run in the background.

        Args:
            read: Gives the request, and raises where it is wrong.
            run_id: Of a request that may have been made before; the same id is the same run.

        Raises:
            RunFailedError: it may not; the journal holds it as a run that failed at `admit`.
        """
        try:
            require(principal, Role.READER)
            request = read()
            plan = self._executor.plan(request, run_id or new_run_id())
            # Charged as it starts, by estimate: it may go on in another process, on another day.
            await self._executor.admission.call(principal, estimated(request))
            return await self._runs.start(plan, run_id)
        except ServiceError as error:
            raise await self._gateway.refuse(principal, model, error) from error

    async def view(self, principal: Principal, run_id: str) -> RunView:
        """A run of the principal's tenant, one included that has not begun yet.

        Raises:
            NotFound: there is none of that id, or it is another tenant's.
            Unavailable: the journal has none, and durable runs cannot be looked at yet.
        """
        record = await self.record(principal, run_id)
        ended = record.executor == STANDARD and record.ended is not None
        if not ended or not await self._is_own(principal, run_id):
            return RunView(record, None)
        result = await self._runs.result(principal.tenant, run_id)
        if result is None and record.state in _WITH_RESULT:
            # The journal has the end a moment before the result is kept.
            await self._runs.wait(run_id, _A_MOMENT)
            result = await self._runs.result(principal.tenant, run_id)
        return RunView(record, result)

    async def record(self, principal: Principal, run_id: str) -> RunRecord:
        """The same without what it gave."""
        try:
            return await self._gateway.run(principal, run_id)
        except NotFound:
            pending = await self._runs.pending(run_id)
            if pending is None or pending.tenant != principal.tenant:
                raise
            return RunRecord(
                run_id,
                pending.tenant,
                pending.pipeline,
                RunState.RUNNING,
                "",
                pending.created,
                None,
                (),
                STANDARD,
            )

    async def cancel(self, principal: Principal, run_id: str) -> None:
        """Ends a run; see `DurableRuns.cancel`."""
        await self.record(principal, run_id)
        if not has_role(principal, Role.WRITER):
            await self._require_own(principal, run_id)
        await self._runs.cancel(principal.tenant, run_id, principal.subject)

    async def resume(self, principal: Principal, run_id: str) -> None:
        """Has a run go on; see `DurableRuns.resume`."""
        await self.record(principal, run_id)
        await self._require_own(principal, run_id)
        await self._runs.resume(principal.tenant, run_id, principal.subject)

    async def fork(self, principal: Principal, run_id: str, from_step: str) -> StartedRun:
        """Makes another run of this one; see `DurableRuns.fork`."""
        await self.record(principal, run_id)
        await self._require_own(principal, run_id)
        return await self._runs.fork(principal.tenant, run_id, from_step, principal.subject)

    async def override(
        self, principal: Principal, run_id: str, gate: str, decision: Decision, reason: str
    ) -> StartedRun:
        """Turns a gate's decision; see `DurableRuns.override`."""
        require(principal, Role.ADMIN)
        await self.record(principal, run_id)
        return await self._runs.override(principal.tenant, run_id, gate, decision, reason, principal.subject)

    async def wait(self, principal: Principal, run_id: str, seconds: float) -> bool:
        """Waits for a run's end, `seconds` at most; True where it has ended."""
        await self.record(principal, run_id)
        return await self._runs.wait(run_id, seconds)

    async def promote(self, failed: RunFailedError, tenant: str) -> StartedRun | None:
        """The run that goes on in a failed one's place; None where its pipeline or its failure does not have it so, or
        it cannot: the caller is told of the failure then."""
        if failed.step in (ADMIT, "journal", "run") or not isinstance(failed.error, _RETRYABLE):
            return None
        try:
            record = await self._gateway.run(Principal(tenant, roles=tuple(Role)), failed.run_id)
            pipeline = self._snapshot().pipelines.get(record.pipeline)
            if pipeline is None or not pipeline.spec.promote:
                return None
            return await self._runs.promote(record.tenant, failed.run_id, failed.step)
        except ServiceError:
            return None

    async def _is_own(self, principal: Principal, run_id: str) -> bool:
        if has_role(principal, Role.ADMIN):
            return True
        try:
            asked = await self._runs.asked_by(principal.tenant, run_id)
        except PayloadNotRetained:
            return False
        return asked.subject == principal.subject and set(asked.acl) <= set(principal.acl)

    async def _require_own(self, principal: Principal, run_id: str) -> None:
        require(principal, Role.READER)
        if has_role(principal, Role.ADMIN):
            return
        asked = await self._runs.asked_by(principal.tenant, run_id)
        if asked.subject != principal.subject or not set(asked.acl) <= set(principal.acl):
            raise PermissionDenied("somebody else has asked this; only they and admins may do that")
