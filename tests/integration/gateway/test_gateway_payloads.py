"""Payloads in SQLite and PostgreSQL: what can be read, by whom, for how long, and what lies on the disk."""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from sluice_api.objects.pipeline import Payloads
from sluice_gateway.payloads import keys as payload_keys
from sluice_gateway.payloads import sweeping
from sluice_gateway.payloads.keys import WrappingKey, WrappingKeys
from sluice_gateway.payloads.memory import MemoryPayloads
from sluice_gateway.payloads.port import (
    MAX_BYTES,
    Payload,
    PayloadNotRetained,
    PayloadStore,
    PayloadTampered,
    PayloadTooLarge,
)
from sluice_gateway.payloads.store import StoredPayloads
from sluice_gateway.payloads.sweeping import Sweeper
from sluice_gateway.payloads.tables import PAYLOADS, RUN_KEYS
from sluice_gateway.storage.database import Database
from sluice_servicekit.errors import FailedPrecondition
from support.journals import BOTH
from support.postgres import PostgresServer

HOUR = 3600.0
KEYS = WrappingKeys((WrappingKey.of(b"k" * 32),))
SEALED, FULL, NONE = Payloads.SEALED, Payloads.FULL, Payloads.NONE

#: Nothing else on the disk looks like this.
MARK = b"the kiln's own secret"


class Clock:
    """Shows what it is set to."""

    at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=BOTH)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    database = Database(
        tmp_path, request.getfixturevalue("postgres_schema") if request.param == "postgres" else ""
    )
    yield database
    database.close()


@pytest.fixture
def store(database: Database, clock: Clock) -> StoredPayloads:
    return StoredPayloads(database, KEYS, clock)


async def _count(database: Database, table: Any) -> int:
    return len(await database.run(lambda connection: connection.execute(select(table)).all()))


async def _sql(database: Database, statement: str, **values: object) -> None:
    def work(connection: Any) -> None:
        assert connection.execute(text(statement), values).rowcount

    await database.run(work)


@asynccontextmanager
async def _both(stored: StoredPayloads) -> AsyncIterator[list[PayloadStore]]:
    yield [stored, MemoryPayloads()]


@pytest.mark.parametrize("mode", [SEALED, FULL])
@pytest.mark.parametrize("content", [b"", b"short", b"again and " * 50_000, secrets.token_bytes(100_000)])
async def test_what_is_kept_is_read_as_it_was(store: StoredPayloads, mode: Payloads, content: bytes):
    async with _both(store) as stores:
        for each in stores:
            assert await each.keep("acme", "r1", "retrieve", b"before", mode) == "r1/retrieve"
            await each.keep("acme", "r1", "retrieve", content, mode, retention=HOUR)
            await each.keep("acme", "r1", "request", b"other", mode)
            assert await each.read("acme", "r1", "retrieve") == content
            assert await each.names("acme", "r1") == ["request", "retrieve"]
            for other in (("acme", "r2", "retrieve"), ("evil", "r1", "retrieve"), ("acme", "r1", "rerank")):
                with pytest.raises(PayloadNotRetained):
                    await each.read(*other)
            await each.destroy("acme", "r1")
            with pytest.raises(PayloadNotRetained) as raised:
                await each.read("acme", "r1", "retrieve")
            assert raised.value.reason == "PAYLOAD_NOT_RETAINED"
            assert await each.names("acme", "r1") == []


async def test_none_keeps_nothing(store: StoredPayloads, database: Database):
    async with _both(store) as stores:
        for each in stores:
            assert await each.keep("acme", "r1", "request", MARK, NONE) == ""
            with pytest.raises(PayloadNotRetained):
                await each.read("acme", "r1", "request")
    assert await _count(database, PAYLOADS) == 0


async def test_a_batch_is_kept_whole_or_not_at_all(store: StoredPayloads):
    batch = [
        Payload(
            "acme", f"r{number % 3}", f"step{number}", bytes([number]) * 50, SEALED if number % 2 else FULL
        )
        for number in range(9)
    ]
    async with _both(store) as stores:
        for each in stores:
            with pytest.raises(PayloadTooLarge, match="payloads: none"):
                await each.keep_many([*batch, Payload("acme", "r1", "huge", bytes(MAX_BYTES + 1), SEALED)])
            assert await each.names("acme", "r1") == []
            references = await each.keep_many([*batch, Payload("acme", "r1", "nothing", b"x", NONE)])
            assert references == [*(f"{item.run_id}/{item.name}" for item in batch), ""]
            for item in batch:
                assert await each.read("acme", item.run_id, item.name) == item.content


async def test_nothing_sealed_is_readable_on_the_disk(
    store: StoredPayloads,
    database: Database,
    tmp_path: Path,
    request: pytest.FixtureRequest,
):
    def found(mark: bytes) -> bool:
        folder = tmp_path
        if database.is_postgres:
            server: PostgresServer = request.getfixturevalue("postgres_server")
            folder = server.folder / "data"
        return any(mark in file.read_bytes() for file in folder.rglob("*") if file.is_file())

    async def settle() -> None:
        if database.is_postgres:

            def checkpoint(connection: Any) -> None:
                connection.execute(text("COMMIT"))
                connection.execute(text("CHECKPOINT"))
                connection.execute(text("BEGIN"))

            await database.run(checkpoint)

    mark = secrets.token_hex().encode()  # other tests use the server, too
    await store.keep("acme", "r1", "request", mark, SEALED)
    await store.keep("acme", "r1", "retrieve", mark * 1000, SEALED)
    await settle()
    assert not found(mark)
    await store.keep("acme", "r1", "request", mark[::-1], FULL)
    await settle()
    assert found(mark[::-1]), "this does find what is there"


async def test_a_destroyed_key_is_gone_from_the_files(tmp_path: Path, clock: Clock):
    database = Database(tmp_path)
    store = StoredPayloads(database, KEYS, clock)
    await store.keep("acme", "r1", "request", MARK, SEALED, retention=HOUR)
    query = select(RUN_KEYS.c.wrapped)
    wrapped = await database.run(lambda connection: connection.execute(query).scalar_one())

    def found() -> bool:
        return any(wrapped in file.read_bytes() for file in tmp_path.iterdir())

    assert found()
    clock.at += 2 * HOUR
    assert await Sweeper(database, now=clock).sweep() == 1
    assert not found()
    database.close()


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE payloads SET content = (SELECT content FROM payloads WHERE name = 'other') WHERE name = 'request'",
        "UPDATE payloads SET name = 'x' WHERE name = 'other';UPDATE payloads SET name = 'other' WHERE name = 'request';"
        "UPDATE payloads SET name = 'request' WHERE name = 'x'",
        "UPDATE payloads SET content = (SELECT content FROM payloads WHERE tenant = 'evil' AND run_id = 'r1') "
        "WHERE tenant = 'acme'",
        "UPDATE payload_keys SET wrapped = (SELECT wrapped FROM payload_keys WHERE tenant = 'evil') "
        "WHERE tenant = 'acme'",
        "UPDATE payload_keys SET expires = expires + 1 WHERE tenant = 'acme'",
        "UPDATE payloads SET content = (SELECT content FROM payloads WHERE run_id = 'r3'), mode = 'full', "
        "key_name = (SELECT key_name FROM payloads WHERE run_id = 'r3'), tag = (SELECT tag FROM payloads "
        "WHERE run_id = 'r3') WHERE tenant = 'acme' AND name = 'request' AND run_id = 'r1'",
        "UPDATE payloads SET content = '' WHERE name = 'request'",
    ],
)
async def test_what_somebody_has_changed_is_refused(store: StoredPayloads, database: Database, tamper: str):
    await store.keep("acme", "r1", "request", b"mine", SEALED)
    await store.keep("acme", "r1", "other", b"mine, too", SEALED)
    await store.keep("evil", "r1", "request", b"theirs", SEALED)
    await store.keep("evil", "r3", "request", b"theirs", FULL)
    for statement in tamper.split(";"):
        await _sql(database, statement)
    with pytest.raises(PayloadTampered) as raised:
        await store.read("acme", "r1", "request")
    assert "mine" not in str(raised.value)


async def test_plain_content_that_somebody_has_changed_is_refused(store: StoredPayloads, database: Database):
    await store.keep("acme", "r1", "request", b"mine", FULL)
    await _sql(database, "UPDATE payloads SET content = :content", content=b"other")
    with pytest.raises(PayloadTampered):
        await store.read("acme", "r1", "request")


async def test_what_has_expired_is_not_read_even_before_it_is_swept(
    store: StoredPayloads, database: Database, clock: Clock
):
    await store.keep("acme", "r1", "request", MARK, SEALED, retention=HOUR)
    await store.keep("acme", "r1", "plain", MARK, FULL, retention=HOUR)
    clock.at += HOUR - 1
    assert await store.read("acme", "r1", "request") == MARK
    clock.at += 2
    with pytest.raises(PayloadNotRetained):
        await store.read("acme", "r1", "request")
    assert await store.names("acme", "r1") == ["plain"]
    assert await _count(database, RUN_KEYS) == 1
    assert await Sweeper(database, now=clock).sweep() == 1
    assert await _count(database, RUN_KEYS) == 0
    assert await _count(database, PAYLOADS) == 1
    await store.keep("acme", "r1", "request", b"anew", SEALED)
    assert await store.read("acme", "r1", "request") == b"anew"


async def test_all_of_a_run_lives_as_long_as_what_lives_longest(store: StoredPayloads, clock: Clock):
    await store.keep("acme", "r1", "request", MARK, SEALED, retention=HOUR)
    clock.at += HOUR / 2
    await store.keep("acme", "r1", "retrieve", MARK, SEALED, retention=HOUR)
    await store.keep("acme", "r1", "rerank", MARK, SEALED, retention=60)
    clock.at += HOUR - 60
    assert await store.read("acme", "r1", "request") == MARK
    clock.at += 61
    with pytest.raises(PayloadNotRetained):
        await store.read("acme", "r1", "rerank")
    await store.keep("acme", "r1", "generate", MARK, SEALED)  # it had expired, and was not swept
    assert await store.names("acme", "r1") == ["generate"]


async def test_many_are_swept_a_few_at_a_time_and_plain_ones_with_the_journal(
    store: StoredPayloads, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sweeping, "_BATCH", 3)
    await store.keep_many(
        [Payload("acme", f"r{number}", "request", MARK, SEALED, HOUR) for number in range(10)]
    )
    await store.keep_many([Payload("acme", f"r{number}", "plain", MARK, FULL) for number in range(10)])
    await store.keep("acme", "last", "request", MARK, SEALED, retention=100 * 24 * HOUR)
    clock.at += 2 * HOUR
    again = Sweeper(database, 2, clock)  # as after a restart
    assert await again.sweep() == 10
    assert await _count(database, PAYLOADS) == 11
    clock.at += 3 * 24 * HOUR
    async with again.sweeping(), asyncio.timeout(10):
        while await _count(database, PAYLOADS) > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert await store.read("acme", "last", "request") == MARK


async def test_replicas_that_keep_a_runs_first_payloads_at_once_agree_on_a_key(
    store: StoredPayloads, database: Database, tmp_path: Path, request: pytest.FixtureRequest, clock: Clock
):
    url = request.getfixturevalue("postgres_schema") if database.is_postgres else ""
    other = Database(tmp_path, url)
    stores = (store, StoredPayloads(other, KEYS, clock))
    await asyncio.gather(
        *(
            stores[number % 2].keep("acme", "r1", f"step{number}", b"%d" % number, SEALED)
            for number in range(20)
        )
    )
    for number in range(20):
        assert await stores[number % 2].read("acme", "r1", f"step{number}") == b"%d" % number
    other.close()


async def test_a_key_can_follow_another(
    store: StoredPayloads, database: Database, clock: Clock, tmp_path: Path
):
    await store.keep("acme", "r1", "request", MARK, SEALED)
    file = tmp_path / "keys"
    lines = [base64.b64encode(secret).decode() for secret in (b"n" * 32, b"k" * 32)]
    file.write_text(f"# new\n{lines[0]}\n")
    file.chmod(0o600)
    with pytest.raises(FailedPrecondition) as raised:
        await StoredPayloads(database, payload_keys.load(file), clock).read("acme", "r1", "request")
    assert raised.value.reason == "PAYLOAD_KEY_UNKNOWN"
    file.write_text("\n".join(lines))
    rotated = StoredPayloads(database, payload_keys.load(file), clock)
    assert await rotated.read("acme", "r1", "request") == MARK
    await rotated.keep("acme", "r1", "generate", MARK, SEALED, retention=10 * 24 * HOUR)
    assert await rotated.read("acme", "r1", "generate") == MARK


def test_key_file_that_is_none_is_refused(tmp_path: Path):
    file = tmp_path / "payload.key"
    made = payload_keys.load_or_create(file)
    assert payload_keys.load_or_create(file) == made
    assert file.stat().st_mode & 0o077 == 0
    file.chmod(0o644)
    with pytest.raises(FailedPrecondition, match="chmod 600"):
        payload_keys.load(file)
    file.chmod(0o440)  # as Kubernetes mounts it
    assert payload_keys.load_or_create(file) == made
    file.chmod(0o600)
    file.write_text("x" * 44)
    with pytest.raises(FailedPrecondition, match=":1: a key is 32 bytes"):
        payload_keys.load(file)
    file.write_text("# nothing but a remark, and a long one\n")
    with pytest.raises(FailedPrecondition, match="no key"):
        payload_keys.load(file)
