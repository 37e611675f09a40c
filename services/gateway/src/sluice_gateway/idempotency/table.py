"""Keys in the gateway's database, one row each: which attempt holds it, until when, and what became of it."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Boolean, Column, Connection, Double, Index, String, Table, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from sluice_gateway.idempotency.keys import Keyed
from sluice_gateway.storage.database import METADATA

_KEYS = Table(
    "idempotency_keys",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("content", String(64), nullable=False),
    Column("attempt", String(36), nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("done", Boolean, nullable=False),
    Column("kept", Boolean, nullable=False),
    Column("held_until", Double, nullable=False),
    Column("expires", Double, nullable=False),
    Index("idempotency_keys_expiring", "expires"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of a key."""

    content: str
    attempt: str
    run_id: str
    done: bool
    kept: bool
    held_until: float


@dataclass(frozen=True, slots=True)
class Times:
    """When a key is claimed, in Unix seconds."""

    now: float
    held_until: float
    expires: float


def claim(connection: Connection, keyed: Keyed, attempt: str, times: Times) -> Row:
    """Claims a key for an attempt: one that is new, has expired, or whose attempt holds it no longer. The row is the
    attempt's where its name says so, and another one's where not."""
    # One statement for the three of them, so that of two replicas one gets it.
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    values: dict[str, Any] = {
        "content": keyed.content,
        "attempt": attempt,
        "run_id": "",
        "done": False,
        "kept": False,
        "held_until": times.held_until,
        "expires": times.expires,
    }
    expired = _KEYS.c.expires <= times.now
    let_go = ~_KEYS.c.done & (_KEYS.c.held_until <= times.now) & (_KEYS.c.content == keyed.content)
    new: Any = insert(_KEYS).values(id=keyed.id, tenant=keyed.tenant, **values)
    connection.execute(new.on_conflict_do_update(index_elements=["id"], set_=values, where=expired | let_go))
    columns = [_KEYS.c[name] for name in ("content", "attempt", "run_id", "done", "kept", "held_until")]
    return Row(*connection.execute(select(*columns).where(_KEYS.c.id == keyed.id)).one())


def hold(connection: Connection, id_: str, attempt: str, until: float, run_id: str) -> bool:
    """Has an attempt hold its key for longer; False where another one has it."""
    changes = {"held_until": until, **({"run_id": run_id} if run_id else {})}
    return connection.execute(_own(id_, attempt).values(**changes)).rowcount == 1


def finish(connection: Connection, id_: str, attempt: str, run_id: str, *, kept: bool) -> bool:
    """Notes an attempt's end; False where another one has the key."""
    done = _own(id_, attempt).values(done=True, kept=kept, run_id=run_id)
    return connection.execute(done).rowcount == 1


def free(connection: Connection, id_: str, attempt: str) -> None:
    """Lets a key go whose attempt came to nothing."""
    held = (_KEYS.c.id == id_) & (_KEYS.c.attempt == attempt) & ~_KEYS.c.done
    connection.execute(delete(_KEYS).where(held))


def remove_expired(connection: Connection, now: float) -> int:
    """Removes rows whose time is over; gives how many."""
    return connection.execute(delete(_KEYS).where(_KEYS.c.expires <= now)).rowcount


def _own(id_: str, attempt: str) -> Any:
    return update(_KEYS).where((_KEYS.c.id == id_) & (_KEYS.c.attempt == attempt) & ~_KEYS.c.done)
