"""The counters of limits in the gateway's database: for one replica in SQLite, for several in PostgreSQL."""

import time
from collections.abc import Sequence

from sqlalchemy import Column, Connection, Double, Integer, Table, Text, and_, func, select
from sqlalchemy.dialects import postgresql, sqlite

from sluice_gateway.domain.limiting.counting import Grant, Now, Used, Want, counted
from sluice_gateway.storage.database import METADATA, Database

#: Seconds after which the slots of a replica that does not renew them are others' to have.
SLOTS_EXPIRE = 15.0

#: How often `Limiter.tend` is to be called, which renews them.
LIMITS_TENDED = 5.0

_USED = Table(
    "limit_used",
    METADATA,
    Column("scope", Text, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("units", Double, nullable=False),
    Column("at", Double, nullable=False),
)

_SLOTS = Table(
    "limit_slots",
    METADATA,
    Column("scope", Text, primary_key=True),
    Column("replica", Text, primary_key=True),
    Column("slots", Integer, nullable=False),
    Column("expires", Double, nullable=False),
)

#: Keeps our advisory locks apart from those of others in the same database.
_LOCKS = "sluice.limit_slots:"


class DatabaseCounters:
    """See `domain.limiting.counting.Counters`.

    Args:
        replica: This replica's name, a new one with each start: nobody else's slots are under it.
        now: Seconds since the epoch.
    """

    def __init__(self, database: Database, replica: str, now: Now = time.time) -> None:
        self._database = database
        self._replica = replica
        self._now = now
        self._holds = False

    async def move(self, wants: Sequence[Want]) -> list[Grant]:
        """Takes and charges, all in one transaction."""
        return await self._database.run(lambda connection: self._move(connection, wants))

    async def hold(self, scope: str, limit: int, slots: int) -> int:
        """Holds slots of a scope; one replica alone has them all."""
        if not self._database.is_postgres:
            return min(slots, limit)
        self._holds = True
        return await self._database.run(lambda connection: self._hold(connection, scope, limit, slots))

    async def renew(self) -> None:
        """Keeps this replica's slots for another while."""
        if self._holds:
            await self._database.run(self._renew)

    def _move(self, connection: Connection, wants: Sequence[Want]) -> list[Grant]:
        insert = postgresql.insert if self._database.is_postgres else sqlite.insert
        grants: dict[int, Grant] = {}
        # In one order everywhere, so that two replicas never wait for each other.
        for index, want in sorted(enumerate(wants), key=lambda item: (item[1].scope, item[1].rule.name)):
            key = {"scope": want.scope, "rule": want.rule.name}
            connection.execute(insert(_USED).values(**key, units=0.0, at=0.0).on_conflict_do_nothing())
            row = and_(_USED.c.scope == want.scope, _USED.c.rule == want.rule.name)
            found = connection.execute(select(_USED.c.units, _USED.c.at).where(row).with_for_update()).one()
            after, grants[index] = counted(Used(found.units, found.at), want, self._now())
            connection.execute(_USED.update().where(row).values(units=after.units, at=after.at))
        return [grants[index] for index in range(len(wants))]

    def _hold(self, connection: Connection, scope: str, limit: int, slots: int) -> int:
        # There may be no row yet that a lock could be on.
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(_LOCKS + scope, 0))))
        now = self._now()
        others = and_(_SLOTS.c.scope == scope, _SLOTS.c.replica != self._replica)
        connection.execute(_SLOTS.delete().where(others, _SLOTS.c.expires <= now))
        taken = connection.execute(
            select(func.coalesce(func.sum(_SLOTS.c.slots), 0)).where(others)
        ).scalar_one()
        held = max(0, min(slots, limit - int(taken)))
        values = {"slots": held, "expires": now + SLOTS_EXPIRE}
        row = postgresql.insert(_SLOTS).values(scope=scope, replica=self._replica, **values)
        connection.execute(row.on_conflict_do_update(index_elements=["scope", "replica"], set_=values))
        return held

    def _renew(self, connection: Connection) -> None:
        mine = _SLOTS.c.replica == self._replica
        connection.execute(_SLOTS.delete().where(mine, _SLOTS.c.slots == 0))
        connection.execute(_SLOTS.update().where(mine).values(expires=self._now() + SLOTS_EXPIRE))
