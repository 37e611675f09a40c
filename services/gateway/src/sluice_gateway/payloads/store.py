"""Payloads in the gateway's database: sealed with a key of their run's own, or in plain and authenticated."""

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import groupby

from sqlalchemy import Connection, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from sluice_api.objects.pipeline import Payloads
from sluice_gateway.payloads import run_keys, sealing
from sluice_gateway.payloads.keys import WrappingKeys
from sluice_gateway.payloads.port import RETENTION, Payload, not_retained, reference
from sluice_gateway.payloads.tables import PAYLOADS, RUN_KEYS
from sluice_gateway.storage.database import Database

#: Bytes that are packed in a thread rather than while others wait.
_LARGE = 1 << 16

Row = dict[str, object]


class StoredPayloads:
    """`PayloadStore` in the database.

    Args:
        keys: What runs' keys are wrapped with.
        now: Unix seconds.
    """

    def __init__(self, database: Database, keys: WrappingKeys, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._keys = keys
        self._now = now

    async def keep(
        self,
        tenant: str,
        run_id: str,
        name: str,
        content: bytes,
        mode: Payloads,
        *,
        retention: float = RETENTION,
    ) -> str:
        """Keeps a payload; see `PayloadStore.keep`."""
        return (await self.keep_many([Payload(tenant, run_id, name, content, mode, retention)]))[0]

    async def keep_many(self, payloads: Sequence[Payload]) -> list[str]:
        """Keeps several in one transaction; see `PayloadStore.keep_many`."""
        references = [reference(payload) for payload in payloads]
        # The last of a name stays. In one order everywhere, so that two batches never wait for each other.
        last = {_place(payload): payload for payload in payloads if payload.mode is not Payloads.NONE}
        if last:
            ordered = [last[place] for place in sorted(last)]
            large = sum(len(payload.content) for payload in ordered) > _LARGE
            packed = await asyncio.to_thread(_packed, ordered) if large else _packed(ordered)
            now = self._milliseconds()
            await self._database.run(lambda connection: self._store(connection, ordered, packed, now))
        return references

    async def read(self, tenant: str, run_id: str, name: str) -> bytes:
        """A payload as it was kept; see `PayloadStore.read`."""
        columns = (PAYLOADS, RUN_KEYS.c.key_name.label("wrapped_by"), RUN_KEYS.c.wrapped, RUN_KEYS.c.expires)
        same_run = (RUN_KEYS.c.tenant == PAYLOADS.c.tenant) & (RUN_KEYS.c.run_id == PAYLOADS.c.run_id)
        query = (
            select(*columns)
            .select_from(PAYLOADS.outerjoin(RUN_KEYS, same_run))
            .where(PAYLOADS.c.tenant == tenant, PAYLOADS.c.run_id == run_id, PAYLOADS.c.name == name)
        )
        row = await self._database.run(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            raise not_retained(run_id, name)
        if row.mode == Payloads.FULL:
            key = self._keys.named(row.key_name)
            sealing.check(key, tenant, run_id, name, row.content, row.tag)
            return bytes(row.content)
        if row.expires is None or row.expires <= self._milliseconds():
            raise not_retained(run_id, name)
        wrapping = self._keys.named(row.wrapped_by)
        run_key = sealing.unwrap(wrapping, tenant, run_id, row.expires, row.wrapped)
        return sealing.unseal(run_key, tenant, run_id, name, row.content)

    async def names(self, tenant: str, run_id: str) -> list[str]:
        """The names of what can still be read of a run."""
        alive = select(RUN_KEYS.c.run_id).where(
            RUN_KEYS.c.tenant == tenant,
            RUN_KEYS.c.run_id == run_id,
            RUN_KEYS.c.expires > self._milliseconds(),
        )
        query = (
            select(PAYLOADS.c.name)
            .where(PAYLOADS.c.tenant == tenant, PAYLOADS.c.run_id == run_id)
            .where(or_(PAYLOADS.c.mode == Payloads.FULL, PAYLOADS.c.run_id.in_(alive)))
        )
        found = await self._database.run(lambda connection: connection.execute(query).scalars().all())
        return sorted(found)

    async def destroy(self, tenant: str, run_id: str) -> None:
        """Makes all payloads of a run unreadable for ever."""

        def work(connection: Connection) -> None:
            for table in (RUN_KEYS, PAYLOADS):
                connection.execute(delete(table).where(table.c.tenant == tenant, table.c.run_id == run_id))

        await self._database.run(work)
        await self._database.scrub()

    def _milliseconds(self) -> int:
        return int(self._now() * 1000)

    def _store(
        self, connection: Connection, payloads: Sequence[Payload], packed: Sequence[bytes], now: int
    ) -> None:
        rows: list[Row] = []
        pairs = zip(payloads, packed, strict=True)
        for (tenant, run_id), group in groupby(pairs, lambda pair: (pair[0].tenant, pair[0].run_id)):
            of_run = list(group)
            sealed = [payload for payload, _ in of_run if payload.mode is Payloads.SEALED]
            run_key = b""
            if sealed:
                expires = now + int(max(payload.retention for payload in sealed) * 1000)
                run_key = run_keys.held(connection, self._insert, self._keys, tenant, run_id, now, expires)
            rows += [self._row(payload, content, run_key, now) for payload, content in of_run]
        statement = self._insert(PAYLOADS)
        replaced = {
            column.name: statement.excluded[column.name]
            for column in PAYLOADS.columns
            if not column.primary_key
        }
        connection.execute(
            statement.on_conflict_do_update(index_elements=["tenant", "run_id", "name"], set_=replaced),
            rows,
        )

    def _row(self, payload: Payload, packed: bytes, run_key: bytes, now: int) -> Row:
        tenant, run_id, name = _place(payload)
        key = self._keys.first
        plain = payload.mode is Payloads.FULL
        return {
            "tenant": tenant,
            "run_id": run_id,
            "name": name,
            "mode": str(payload.mode),
            "content": packed if plain else sealing.seal(run_key, tenant, run_id, name, packed),
            "key_name": key.name if plain else "",
            "tag": sealing.tag(key, tenant, run_id, name, packed) if plain else b"",
            "kept": now,
        }

    @property
    def _insert(self) -> Callable[..., postgresql.Insert | sqlite.Insert]:
        return postgresql.insert if self._database.is_postgres else sqlite.insert


def _place(payload: Payload) -> tuple[str, str, str]:
    return payload.tenant, payload.run_id, payload.name


def _packed(payloads: Sequence[Payload]) -> list[bytes]:
    return [
        payload.content if payload.mode is Payloads.FULL else sealing.packed(payload.content)
        for payload in payloads
    ]
