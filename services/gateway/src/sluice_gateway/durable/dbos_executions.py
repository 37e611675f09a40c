"""The runs that go on in this process, inside of DBOS's workflows: executed, watched, stopped."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dbos import DBOS
from dbos._error import DBOSWorkflowCancelledError, DBOSWorkflowConflictIDError

from sluice_gateway.durable.dbos_tables import DbosTables
from sluice_gateway.durable.execution import UnfinishedError
from sluice_gateway.durable.port import Body, Checkpoint

_LOG = logging.getLogger(__name__)

#: Seconds between two looks at whether runs that go on here were cancelled, or taken over.
_WATCH = 0.25

#: Seconds after which an execution that could not go on is tried again.
_AGAIN = 1.0

#: Seconds that executions have to stop.
_PATIENCE = 5.0


class DbosExecutions:
    """The executions of this process.

    Args:
        executor: The name under which it executes.
    """

    def __init__(self, executor: str, body: Body, checkpoint: Checkpoint) -> None:
        self._executor = executor
        self._body = body
        self._checkpoint = checkpoint
        self._active: dict[str, asyncio.Task[None]] = {}
        self._stopped: set[asyncio.Task[None]] = set()
        self._tables: DbosTables | None = None

    def get(self, run_id: str) -> "asyncio.Task[None] | None":
        """What executes the run here, if anything does."""
        return self._active.get(run_id)

    async def execute(self, tenant: str, run_id: str) -> None:
        """The workflow: executes a run. Raises DBOS's own exceptions where the outcome is somebody else's to record."""
        if earlier := self._active.get(run_id):  # this process was taken for dead, and took over from itself
            self.stop(run_id)
            await asyncio.wait({earlier})
        executing = asyncio.create_task(self._body(tenant, run_id, self._checkpoint))
        self._active[run_id] = executing
        try:
            await executing
        except asyncio.CancelledError:
            if executing not in self._stopped:
                raise
            # It was cancelled, or is somebody else's: what is recorded of it stays as it is.
            raise DBOSWorkflowCancelledError(f"{run_id} was stopped here") from None
        except UnfinishedError:
            _LOG.warning("the run %s cannot go on now and is tried again", run_id)
            await asyncio.sleep(_AGAIN)
            await self._give_back(run_id)
            raise DBOSWorkflowConflictIDError(run_id) from None
        finally:
            if self._active.get(run_id) is executing:
                del self._active[run_id]
            self._stopped.discard(executing)

    def stop(self, run_id: str) -> None:
        """Stops a run here; nothing more is said of it."""
        executing = self._active.get(run_id)
        if executing is not None and executing not in self._stopped:
            self._stopped.add(executing)
            self._body.abandon(run_id)
            executing.cancel()

    @asynccontextmanager
    async def watched(self, tables: DbosTables) -> AsyncIterator[None]:
        """Stops what was cancelled or taken over, for the length of the block; at its end gives back what goes on, so
        that another replica, or the next process, need not wait for the lease to run out."""
        self._tables = tables
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            going = dict(self._active)
            for run_id, executing in going.items():
                self._body.abandon(run_id)
                executing.cancel()
            if going:
                await asyncio.wait(going.values(), timeout=_PATIENCE)
            for run_id in going:
                with contextlib.suppress(Exception):  # the lease will run out
                    await self._give_back(run_id)

    async def _give_back(self, run_id: str) -> None:
        if self._tables is not None:
            await asyncio.to_thread(self._tables.take, run_id, self._executor)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_WATCH)
            here = list(self._active)
            if not here:
                continue
            try:
                found = await DBOS.list_workflows_async(
                    workflow_ids=here, load_input=False, load_output=False
                )
            except Exception:  # whatever it is, the runs go on, and so does this
                _LOG.exception("the runs that go on here cannot be looked at")
                continue
            own = self._executor
            still = {run.workflow_id for run in found if run.status == "PENDING" and run.executor_id == own}
            for run_id in here:
                if run_id not in still:
                    self.stop(run_id)
