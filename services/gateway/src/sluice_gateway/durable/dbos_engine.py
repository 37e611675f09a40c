"""`Engine` by DBOS: SQLite in the data folder, or PostgreSQL. DBOS keeps ids, states and references, no content.

DBOS is one per process, and binds itself to the event loop that launches it: the services' channels live there.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SetWorkflowID
from dbos._error import DBOSWorkflowCancelledError, DBOSWorkflowConflictIDError
from dbos._serialization import DBOSPortableJSONSerializer
from sqlalchemy import event

from sluice_gateway.durable.dbos_tables import DbosTables
from sluice_gateway.durable.execution import UnfinishedError
from sluice_gateway.durable.port import Body, PendingRun, Progress, Reference
from sluice_gateway.storage.database import postgres_url
from sluice_servicekit.errors import Unavailable

_LOG = logging.getLogger(__name__)

_QUEUE = "runs"
_WORKFLOW = "sluice.run"
_FILE = "durable.sqlite"

#: Seconds between two looks at the queue: a run starts half of this after it was taken on. Each look costs about 1 ms.
_POLL = 0.2

#: Seconds between two looks at whether runs that go on here were cancelled, or taken over.
_WATCH = 0.25

#: Seconds after which an execution that could not go on is tried again.
_AGAIN = 1.0

_THREADS = 16

_PROGRESS = {
    "SUCCESS": Progress.DONE,
    "ERROR": Progress.DONE,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": Progress.DONE,
    "CANCELLED": Progress.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an engine is opened with."""

    data_dir: Path
    database_url: str
    """Of PostgreSQL; SQLite in `data_dir` where empty."""
    executor: str
    version: str
    """Of the runs' definition: only what was recorded by the same version is executed further as it is."""
    max_runs: int
    """Runs that go on at the same time here; more wait in the queue."""


class DbosEngine:
    """`Engine`, and what recovery needs of it."""

    def __init__(self, settings: EngineSettings, body: Body) -> None:
        self._settings = settings
        self._body = body
        self._active: dict[str, asyncio.Task[None]] = {}
        self._stopped: set[str] = set()
        self._workflow: Callable[[str, str, str], Any] | None = None
        self._tables: DbosTables | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Executes runs for the length of the block."""
        settings = self._settings
        # With a handler of its own it would write to the console, in a form of its own.
        logger = logging.getLogger("dbos")
        logger.addHandler(logging.NullHandler())
        logger.addFilter(_quiet)
        engine = await asyncio.to_thread(_database, settings)
        config: DBOSConfig = {
            "name": "sluice-gateway",
            "system_database_url": engine.url.render_as_string(hide_password=False),
            "system_database_engine": engine,
            "application_version": settings.version,
            "executor_id": settings.executor,
            "serializer": DBOSPortableJSONSerializer(),
            "use_listen_notify": False,  # polling alone works behind a pooler of connections
            "max_executor_threads": _THREADS,
            "notification_listener_polling_interval_sec": 0.1,  # nothing is notified; closing waits for it
            "log_level": "WARNING",
        }
        dbos = DBOS(config=config)
        try:
            # Not its limit of recoveries: a run that comes to it would end in no journal. The body counts.
            self._workflow = DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=None)(
                self._execute_workflow()
            )
            DBOS.launch()
            await DBOS.register_queue_async(
                _QUEUE, worker_concurrency=settings.max_runs, polling_interval_sec=_POLL
            )
            self._tables = DbosTables(dbos._sys_db, _QUEUE)  # noqa: SLF001 - see `dbos_tables`
            watching = asyncio.create_task(self._watch())
            try:
                yield
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
                await self._stop_all()
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
            raise _starting()
        return self._tables

    def _require_open(self) -> None:
        if self._tables is None:
            raise _starting()

    # Engine

    async def enqueue(self, tenant: str, run_id: str, pipeline: str) -> None:
        """Takes a run on; see `Engine.enqueue`."""
        if self._workflow is None or self._tables is None:
            raise _starting()
        with SetWorkflowID(run_id):
            await DBOS.enqueue_workflow_async(_QUEUE, self._workflow, tenant, run_id, pipeline)

    async def cancel(self, run_id: str) -> bool:
        """Ends a run; see `Engine.cancel`."""
        self._require_open()
        await DBOS.cancel_workflow_async(run_id)
        found = await self.find(run_id)
        if found is None or found.progress is not Progress.CANCELLED:
            return False
        self._stop(run_id)
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
            if going := self._active.get(run_id):
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

    # Execution

    def _execute_workflow(self) -> Callable[[str, str, str], Any]:
        async def run(tenant: str, run_id: str, _pipeline: str) -> None:
            await self._execute(tenant, run_id)

        return run

    async def _execute(self, tenant: str, run_id: str) -> None:
        executing = asyncio.create_task(self._body(tenant, run_id, self))
        self._active[run_id] = executing
        try:
            await executing
        except asyncio.CancelledError:
            if run_id not in self._stopped:
                raise
            # It was cancelled, or is somebody else's: what is recorded of it stays as it is.
            raise DBOSWorkflowCancelledError(f"{run_id} was stopped here") from None
        except UnfinishedError:
            _LOG.warning("the run %s cannot go on now and is tried again", run_id)
            await asyncio.sleep(_AGAIN)
            await asyncio.to_thread(self.tables.take, run_id, self._settings.executor)
            raise DBOSWorkflowConflictIDError(run_id) from None
        finally:
            self._active.pop(run_id, None)
            self._stopped.discard(run_id)

    def _stop(self, run_id: str) -> None:
        executing = self._active.get(run_id)
        if executing is not None and run_id not in self._stopped:
            self._stopped.add(run_id)
            self._body.abandon(run_id)
            executing.cancel()

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
            own = self._settings.executor
            still = {run.workflow_id for run in found if run.status == "PENDING" and run.executor_id == own}
            for run_id in here:
                if run_id not in still:
                    self._stop(run_id)

    async def _stop_all(self) -> None:
        """Gives what goes on here back to the queue: another replica, or the next process, need not wait."""
        going = dict(self._active)
        for run_id, executing in going.items():
            self._body.abandon(run_id)
            executing.cancel()
        if going:
            await asyncio.wait(going.values(), timeout=5)
        for run_id in going:
            with contextlib.suppress(Exception):  # its lease will run out
                await asyncio.to_thread(self.tables.take, run_id, self._settings.executor)


def _starting() -> Unavailable:
    return Unavailable("durable runs are starting", reason="DURABLE_STARTING", retry_after=1.0)


def _database(settings: EngineSettings) -> sa.Engine:
    if settings.database_url:
        return sa.create_engine(
            postgres_url(settings.database_url), pool_size=_THREADS // 2, max_overflow=2, pool_pre_ping=True
        )
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(f"sqlite:///{settings.data_dir / _FILE}", pool_size=_THREADS // 2)
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    # As DBOS prepares those that it opens itself, and without a sync for every commit.
    connection.isolation_level = "IMMEDIATE"
    connection.execute("PRAGMA busy_timeout=30000")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _quiet(record: logging.LogRecord) -> bool:
    """Leaves out that an execution was stopped, which DBOS takes for an error."""
    return not str(record.msg).startswith(
        ("Exception encountered in asynchronous workflow", "Asyncio task cancelled")
    )


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
