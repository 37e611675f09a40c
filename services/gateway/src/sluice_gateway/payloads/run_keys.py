"""Runs' keys in the database: found, made, and given a longer life."""

from collections.abc import Callable

from sqlalchemy import Connection, Select, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from sluice_gateway.payloads import sealing
from sluice_gateway.payloads.keys import WrappingKeys
from sluice_gateway.payloads.tables import PAYLOADS, RUN_KEYS

#: Milliseconds by which a life must become longer to be worth a write.
_WORTH_EXTENDING = 60_000

Insert = Callable[..., postgresql.Insert | sqlite.Insert]


def held(
    connection: Connection,
    insert: Insert,
    keys: WrappingKeys,
    tenant: str,
    run_id: str,
    now: int,
    expires: int,
) -> bytes:
    """The run's key, which lives until `expires` or a little less, and is not swept before the transaction ends.

    Raises:
        PayloadTampered: somebody has changed its row.
        FailedPrecondition: it was wrapped with a key that this gateway does not have.
    """
    row = connection.execute(_query(tenant, run_id)).one_or_none()
    if row is not None and row.expires <= now:
        forget(connection, tenant, run_id)
        row = None
    if row is None:
        made = _made(connection, insert, keys, tenant, run_id, expires)
        if made is not None:
            return made
        row = connection.execute(_query(tenant, run_id)).one()  # another replica was faster
    run_key = sealing.unwrap(keys.named(row.key_name), tenant, run_id, row.expires, row.wrapped)
    if expires - row.expires > min(_WORTH_EXTENDING, (expires - now) // 10):
        connection.execute(
            update(RUN_KEYS)
            .where(RUN_KEYS.c.tenant == tenant, RUN_KEYS.c.run_id == run_id)
            .values(
                key_name=keys.first.name,
                wrapped=sealing.wrap(keys.first, tenant, run_id, expires, run_key),
                expires=expires,
            )
        )
    return run_key


def forget(connection: Connection, tenant: str, run_id: str) -> None:
    """Destroys a run's key, and removes what nobody can read any more."""
    connection.execute(delete(RUN_KEYS).where(RUN_KEYS.c.tenant == tenant, RUN_KEYS.c.run_id == run_id))
    connection.execute(
        delete(PAYLOADS).where(
            PAYLOADS.c.tenant == tenant, PAYLOADS.c.run_id == run_id, PAYLOADS.c.mode == "sealed"
        )
    )


def _query(tenant: str, run_id: str) -> Select[tuple[str, bytes, int]]:
    return (
        select(RUN_KEYS.c.key_name, RUN_KEYS.c.wrapped, RUN_KEYS.c.expires)
        .where(RUN_KEYS.c.tenant == tenant, RUN_KEYS.c.run_id == run_id)
        .with_for_update()
    )


def _made(
    connection: Connection, insert: Insert, keys: WrappingKeys, tenant: str, run_id: str, expires: int
) -> bytes | None:
    run_key = sealing.new_run_key()
    statement = insert(RUN_KEYS).values(
        tenant=tenant,
        run_id=run_id,
        key_name=keys.first.name,
        wrapped=sealing.wrap(keys.first, tenant, run_id, expires, run_key),
        expires=expires,
    )
    made = connection.execute(statement.on_conflict_do_nothing().returning(RUN_KEYS.c.run_id)).first()
    return run_key if made is not None else None
