"""Which executors live: each renews a lease; one whose lease has run out is taken for dead."""

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Float,
    String,
    Table,
    delete,
    extract,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from sluice_gateway.storage.database import METADATA, Database

LEASES = Table(
    "executor_leases",
    METADATA,
    Column("executor", String(300), primary_key=True),
    Column("version", String(64), nullable=False),
    Column("expires", Float, nullable=False),
)

#: Seconds for which a lease is good, and between two renewals.
LEASE, RENEWAL = 10.0, 2.0

#: Seconds after which nobody needs to know of a dead executor.
_FORGOTTEN = 86_400.0


@dataclass(frozen=True, slots=True)
class Lease:
    """An executor, and the version of the runs' definition that it executes."""

    executor: str
    version: str


class Leases:
    """The leases of all replicas on one database, by that database's clock."""

    def __init__(self, database: Database, own: Lease) -> None:
        self._database = database
        self._own = own

    async def renew(self) -> list[Lease]:
        """Extends this process's lease; gives all that are good, its own among them."""
        return await self._database.run(self._renewed)

    async def release(self) -> None:
        """Ends this process's lease, so that others need not wait for it to run out."""
        await self._database.run(
            lambda connection: connection.execute(
                delete(LEASES).where(LEASES.c.executor == self._own.executor)
            )
        )

    def _renewed(self, connection: Connection) -> list[Lease]:
        now = self._now()
        mine = {"version": self._own.version, "expires": now + LEASE}
        changed = connection.execute(
            update(LEASES).where(LEASES.c.executor == self._own.executor).values(mine)
        )
        if not changed.rowcount:
            connection.execute(LEASES.insert().values(executor=self._own.executor, **mine))
            connection.execute(delete(LEASES).where(LEASES.c.expires < now - _FORGOTTEN))
        found = connection.execute(select(LEASES.c.executor, LEASES.c.version).where(LEASES.c.expires >= now))
        return [Lease(*row) for row in found]

    def _now(self) -> ColumnElement[Any]:
        if self._database.is_postgres:  # replicas' clocks may differ
            return extract("epoch", func.clock_timestamp())
        return literal(time.time())
