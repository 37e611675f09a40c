"""The keyed chain: each row's hash covers its content, its place and the row before it. Pure."""

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import NamedTuple

from sluice_gateway.domain.run import Event, EventKind

#: The hash before a writer's first row.
GENESIS = "0" * 64

_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode

#: Kind of a writer's first row; its detail names the heads of all writers known then.
WRITER_OPENED = "writer_opened"


class Row(NamedTuple):
    """A row of the journal as stored. A tuple: an audit makes millions of them."""

    writer: str
    seq: int
    """From 1, without gaps."""
    run_id: str
    tenant: str
    kind: str
    at: float
    pipeline: str
    step: str
    attempt: int
    state: str
    decision: str
    reason: str
    detail: str
    input_hash: str
    output_hash: str
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """The last row of a writer's chain."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Keys:
    """What seals rows and checkpoints; an attacker with the database alone has neither."""

    rows: bytes
    checkpoints: bytes
    stubs: bytes
    name: str
    """Tells one secret from another, and nothing of it."""

    @classmethod
    def derived(cls, secret: bytes) -> "Keys":
        """One key for each use, from the journal's secret."""
        return cls(
            _derive(secret, b"sluice/journal/rows/v1"),
            _derive(secret, b"sluice/journal/checkpoints/v1"),
            _derive(secret, b"sluice/journal/stubs/v1"),
            _derive(secret, b"sluice/journal/name/v1").hex()[:16],
        )


def _derive(secret: bytes, label: bytes) -> bytes:
    return hmac.digest(secret, label, hashlib.sha256)


def sealed(key: bytes, writer: str, head: Head, event: Event) -> Row:
    """The row that follows `head` in the writer's chain."""
    content = (
        writer,
        head.seq + 1,
        _storable(event.run_id),
        _storable(event.tenant),
        str(event.kind),
        float(event.at),
        _storable(event.pipeline),
        _storable(event.step),
        event.attempt,
        str(event.state),
        str(event.decision),
        _storable(event.reason),
        _storable(event.detail),
        event.input_hash,
        event.output_hash,
        head.hash,
    )
    return Row(*content, _hash(key, content))


def row_hash(key: bytes, row: Row) -> str:
    """HMAC-SHA256 over everything in the row but its hash."""
    return _hash(key, row[:-1])


def is_sealed(key: bytes, row: Row) -> bool:
    """True where the row's hash is the one of its content."""
    try:
        return hmac.compare_digest(row_hash(key, row).encode(), row.hash.encode())
    except (TypeError, ValueError, AttributeError):  # SQLite holds anything in any column
        return False


def event(row: Row) -> Event:
    """What a row records."""
    return Event(
        run_id=row.run_id,
        tenant=row.tenant,
        kind=EventKind(row.kind),
        at=row.at,
        pipeline=row.pipeline,
        step=row.step,
        attempt=row.attempt,
        state=row.state,
        decision=row.decision,
        reason=row.reason,
        detail=row.detail,
        input_hash=row.input_hash,
        output_hash=row.output_hash,
    )


def _storable(text: str) -> str:
    """The text as every database can hold it: one that cannot be written would hold up all that follow."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def _hash(key: bytes, content: tuple[str | int | float, ...]) -> str:
    return hmac.digest(key, _encode(content).encode(), "sha256").hex()
