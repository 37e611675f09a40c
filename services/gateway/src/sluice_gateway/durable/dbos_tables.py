"""The only place that writes DBOS's own tables: what its public interface has no word for without its paid service.

`tests/integration/gateway/test_gateway_durable_engine.py` holds every statement to the DBOS that is installed.
"""

from collections.abc import Collection

import sqlalchemy as sa
from dbos._schemas.system_database import SystemSchema
from dbos._sys_db import SystemDatabase

_ACTIVE = ("PENDING", "ENQUEUED")


class DbosTables:
    """Runs whose executors are dead, and runs whose version nobody executes any more."""

    def __init__(self, system: SystemDatabase, queue: str) -> None:
        self._system = system
        self._queue = queue
        self._runs = SystemSchema.workflow_status

    def orphans(self, living: Collection[str]) -> list[tuple[str, str]]:
        """Runs that are being executed by none of these executors: their ids, and who did."""
        runs = self._runs
        query = sa.select(runs.c.workflow_uuid, runs.c.executor_id).where(
            runs.c.status == "PENDING", runs.c.executor_id.not_in(living)
        )
        with self._system.engine.begin() as connection:
            return [(row[0], row[1]) for row in connection.execute(query)]

    def take(self, run_id: str, dead: str) -> bool:
        """Puts a run back into the queue, unless somebody else has. The dead executor, should it live after all, can
        record nothing more of it."""
        return self._system.reenqueue_for_recovery(run_id, [dead], self._queue)

    def outdated(self, versions: Collection[str]) -> list[str]:
        """Runs that wait for an executor of none of these versions."""
        runs = self._runs
        query = sa.select(runs.c.workflow_uuid).where(
            runs.c.status == "ENQUEUED", runs.c.application_version.not_in(versions)
        )
        with self._system.engine.begin() as connection:
            return list(connection.execute(query).scalars())

    def adopt(self, run_id: str, version: str, versions: Collection[str]) -> bool:
        """Makes a waiting run one of this version, without the steps that the other one recorded: their order may be
        another. The run's plan must name what they gave before."""
        runs, steps = self._runs, SystemSchema.operation_outputs
        mine = (
            sa.update(runs)
            .where(
                runs.c.workflow_uuid == run_id,
                runs.c.status == "ENQUEUED",
                runs.c.application_version.not_in(versions),
            )
            .values(application_version=version)
        )
        with self._system.engine.begin() as connection:
            if not connection.execute(mine).rowcount:
                return False
            connection.execute(sa.delete(steps).where(steps.c.workflow_uuid == run_id))
            return True
