"""`Engine` by DBOS: SQLite in the data folder, or PostgreSQL. DBOS keeps ids, states and references, no content.

DBOS is one per process, and binds itself to the event loop that launches it: the services' channels live there.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from dbos import DBOS, SetWorkflowID

from sluice_gateway.durable import dbos_opening
from sluice_gateway.durable.dbos_executions import DbosExecutions
from sluice_gateway.durable.dbos_opening import EngineSettings
from sluice_gateway.durable.dbos_tables import DbosTables
from sluice_gateway.durable.port import Body, PendingRun, Progress, Reference
from sluice_servicekit.errors import Unavailable

_QUEUE = "runs"
_WORKFLOW = "sluice.run"

#: Seconds between two looks at the queue: a run starts half of this after it was taken on. Each look costs about 1 ms.
_POLL = 0.2

_PROGRESS = {
    "SUCCESS": Progress.DONE,
    "ERROR": Progress.DONE,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": Progress.DONE,
    "CANCELLED": Progress.CANCELLED,
}


class DbosEngine:
    """`Engine`, and what recovery needs of it."""

    def __init__(self, settings: EngineSettings, body: Body) -> None:
        self._settings = settings
        self._executions = DbosExecutions(settings.executor, body, self)
        self._workflow: Callable[[str, str, str], Any] | None = None
        self._tables: DbosTables | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Executes runs for the length of the block."""
        settings = self._settings
        engine = await asyncio.to_thread(dbos_opening.database, settings)
        dbos = DBOS(config=dbos_opening.config(settings, engine))
        try:
            # Not its limit of recoveries: a run that comes to it would end in no journal. The body counts.
            self._workflow = DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=None)(self._as_function())
            DBOS.launch()
            await DBOS.register_queue_async(
                _QUEUE, worker_concurrency=settings.max_runs, polling_interval_sec=_POLL
            )
            self._tables = DbosTables(dbos._sys_db, _QUEUE)  # noqa: SLF001 - see `dbos_tables`
            async with self._executions.watched(self._tables):
                yield
        finally:
            self._tables = self._workflow = None
            # DBOS has put its threads in the place of the loop's own, and takes them with it.
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="worker"))
            await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
            engine.dispose()

    @property
    def tables(self) -> DbosTables:
        """What recovery works on.

        Raises:
            Unavailable: the engine is not open.
        """
        if self._tables is None:
            raise Unavailable("durable runs are starting", reason="DURABLE_STARTING", retry_after=1.0)
        return self._tables

    def _require_open(self) -> None:
        _ = self.tables

    # Engine

    async def enqueue(self, tenant: str, run_id: str, pipeline: str) -> None:
        """Takes a run on; see `Engine.enqueue`."""
        self._require_open()
        assert self._workflow is not None  # noqa: S101 - it is as long as the tables are
        with SetWorkflowID(run_id):
            await DBOS.enqueue_workflow_async(_QUEUE, self._workflow, tenant, run_id, pipeline)

    async def cancel(self, run_id: str) -> bool:
        """Ends a run; see `Engine.cancel`."""
        self._require_open()
        await DBOS.cancel_workflow_async(run_id)
        found = await self.find(run_id)
        if found is None or found.progress is not Progress.CANCELLED:
            return False
        self._executions.stop(run_id)
        return True

    async def resume(self, run_id: str) -> None:
        """Has a run go on; see `Engine.resume`."""
        found = await self.find(run_id)
        if found is not None and found.progress is Progress.CANCELLED:
            await DBOS.resume_workflow_async(run_id, queue_name=_QUEUE)
            return
        steps = await DBOS.list_workflow_steps_async(run_id)
        failed = [step["function_id"] for step in steps if "failed" in (step["output"] or {})]
        last = max((step["function_id"] for step in steps), default=0)
        # A step that failed and whose failure the run could bear stays as it was: only the last one ended it.
        start = last if last in failed else last + 1
        await DBOS.rewind_workflow_async(run_id, start_step=start, queue_name=_QUEUE)

    async def find(self, run_id: str) -> PendingRun | None:
        """The run; see `Engine.find`."""
        self._require_open()
        found = await DBOS.list_workflows_async(workflow_ids=[run_id], load_output=False)
        if not found:
            return None
        tenant, _, pipeline = found[0].input["args"]  # type: ignore[index]
        progress = _PROGRESS.get(found[0].status, Progress.ACTIVE)
        return PendingRun(run_id, tenant, pipeline, progress, (found[0].created_at or 0) / 1000)

    async def references(self, run_id: str) -> Mapping[str, Reference]:
        """What is kept of the finished steps; see `Engine.references`."""
        self._require_open()
        steps = await DBOS.list_workflow_steps_async(run_id)
        return {step["function_name"]: step["output"] for step in steps if isinstance(step["output"], dict)}

    async def wait(self, run_id: str, seconds: float) -> bool:
        """Waits until the run is over; see `Engine.wait`."""
        until = time.monotonic() + seconds
        while True:
            found = await self.find(run_id)
            if found is None or found.progress is not Progress.ACTIVE:
                return True
            if (left := until - time.monotonic()) <= 0:
                return False
            if going := self._executions.get(run_id):
                await asyncio.wait({going}, timeout=min(left, 1.0))
                left = min(left, 0.02)  # what it gave is about to be recorded
            await asyncio.sleep(min(left, 0.1))

    async def forget(self, before: float, at_most: int) -> int:
        """Deletes runs that were over before a time, the oldest first; gives how many."""
        found = await DBOS.list_workflows_async(
            status=list(_PROGRESS),
            completed_before=_iso(before),
            limit=at_most,
            load_input=False,
            load_output=False,
        )
        if found:
            await DBOS.delete_workflows_async([run.workflow_id for run in found])
        return len(found)

    # Checkpoint

    async def once(self, step: str, work: Callable[[], Awaitable[Reference]]) -> Reference:
        """A step of the workflow that this is called from; see `Checkpoint.once`."""

        async def recorded() -> dict[str, str]:
            return dict(await work())

        return await DBOS.run_step_async({"name": step}, recorded)

    def _as_function(self) -> Callable[[str, str, str], Any]:
        """DBOS takes functions; the pipeline is there for those who look at a run that waits."""

        async def run(tenant: str, run_id: str, _pipeline: str) -> None:
            await self._executions.execute(tenant, run_id)

        return run


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
