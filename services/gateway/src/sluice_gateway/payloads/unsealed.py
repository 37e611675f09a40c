"""Payloads in the gateway's database, as they are."""

from sqlalchemy import Column, Connection, LargeBinary, String, Table, delete, select
from sqlalchemy.sql.elements import ColumnElement

from sluice_api.objects.pipeline import Payloads
from sluice_gateway.payloads.port import PayloadNotRetained
from sluice_gateway.storage.database import METADATA, Database

_TABLE = Table(
    "unsealed_payloads",
    METADATA,
    Column("tenant", String(64), primary_key=True),
    Column("run_id", String(64), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)


class UnsealedPayloads:
    """`PayloadStore` in the gateway's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, tenant: str, run_id: str, name: str, content: bytes, mode: Payloads) -> str:
        """Keeps a payload; see `PayloadStore.keep`."""
        if mode is Payloads.NONE:
            return ""
        key = _key(tenant, run_id) & (_TABLE.c.name == name)
        row = {"tenant": tenant, "run_id": run_id, "name": name, "content": content}

        def replace(connection: Connection) -> None:
            connection.execute(delete(_TABLE).where(key))
            connection.execute(_TABLE.insert().values(row))

        await self._database.run(replace)
        return f"{run_id}/{name}"

    async def read(self, tenant: str, run_id: str, name: str) -> bytes:
        """A payload as it was kept; see `PayloadStore.read`."""
        query = select(_TABLE.c.content).where(_key(tenant, run_id), _TABLE.c.name == name)
        found: bytes | None = await self._database.run(lambda connection: connection.execute(query).scalar())
        if found is None:
            raise PayloadNotRetained(f"the run {run_id} has no payload {name!r} that can be read")
        return found

    async def names(self, tenant: str, run_id: str) -> list[str]:
        """The names of what can still be read of a run."""
        query = select(_TABLE.c.name).where(_key(tenant, run_id)).order_by(_TABLE.c.name)
        return await self._database.run(lambda connection: list(connection.execute(query).scalars()))

    async def destroy(self, tenant: str, run_id: str) -> None:
        """Makes all payloads of a run unreadable for ever."""
        statement = delete(_TABLE).where(_key(tenant, run_id))
        await self._database.run(lambda connection: connection.execute(statement))


def _key(tenant: str, run_id: str) -> ColumnElement[bool]:
    return (_TABLE.c.tenant == tenant) & (_TABLE.c.run_id == run_id)
