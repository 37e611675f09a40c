"""Which shard a tenant's reads and writes reach, by the state of its own shard key. The table is that of Qdrant's
`shard_holder`; the double keeps to it, and so its tests of the retriever are worth something."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from qdrant_client import models

from sluice_retriever.store.schema import Payload
from sluice_retriever.store.server.backend import ServerBackend
from sluice_servicekit.errors import FailedPrecondition, Unavailable
from support.engines import Engine, manifest, opened

ABSENT = None
PARTIAL = models.ReplicaState.PARTIAL
ACTIVE_READ = models.ReplicaState.ACTIVEREAD
ACTIVE = models.ReplicaState.ACTIVE
DEAD = models.ReplicaState.DEAD

ALL = models.Filter(must=[models.FieldCondition(key=Payload.TENANT, match=models.MatchValue(value="acme"))])


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    """A new generation on a double of a cluster."""
    async with opened("cluster", tmp_path, manifest()) as engine:
        yield engine


def point(number: int) -> models.PointStruct:
    return models.PointStruct(id=number, vector={}, payload={"tenant": "acme", "n": number})


def within(engine: Engine, key: str) -> set[int]:
    """The points in a shard."""
    shard = engine.server.state.collection(engine.backend.collection).shards[key]
    return {record.id for record in shard.client.scroll("shard", limit=100)[0]}


def put(engine: Engine, key: str, *numbers: int) -> None:
    """Has points in a shard, past all routing."""
    shard = engine.server.state.collection(engine.backend.collection).shards[key]
    shard.client.upsert("shard", [point(number) for number in numbers])


def promote(engine: Engine, state: models.ReplicaState | None, key: str = "acme") -> None:
    if state is not None:
        engine.server.set_state(engine.backend.collection, key, state)


async def seen(engine: Engine) -> set[int]:
    records, _ = await engine.backend.scroll("acme", ALL, 100)
    return {record.id for record in records}


@pytest.mark.parametrize(
    ("state", "read", "written"),
    [
        (ABSENT, {1}, {"default"}),
        (PARTIAL, {1}, {"default"}),
        (ACTIVE_READ, {2}, {"acme", "default"}),
        (ACTIVE, {2}, {"acme"}),
        (DEAD, {1}, {"default"}),
    ],
)
async def test_a_tenant_is_routed_by_the_state_of_its_shard(
    engine: Engine, state: models.ReplicaState | None, read: set[int], written: set[str]
) -> None:
    put(engine, "default", 1)
    promote(engine, state)
    if state is not ABSENT:
        put(engine, "acme", 2)
    before = await seen(engine)
    await engine.backend.upsert("acme", [point(3)])

    assert before == read
    assert {
        key for key in ("acme", "default") if (state or key == "default") and 3 in within(engine, key)
    } == written


@pytest.mark.parametrize("state", [ABSENT, PARTIAL, ACTIVE_READ, ACTIVE, DEAD])
async def test_every_call_follows_the_same_route(engine: Engine, state: models.ReplicaState | None) -> None:
    promote(engine, state)
    await engine.backend.upsert("acme", [point(1), point(2)])
    await engine.backend.set_payload("acme", {"tenant": "acme", "write": "yes"}, ALL)
    assert isinstance(engine.backend, ServerBackend)
    cleared = models.DeletePayload(keys=["n"], points=[1], shard_key=engine.backend.selector("acme"))
    await engine.backend.update([models.DeletePayloadOperation(delete_payload=cleared)])

    assert await engine.backend.count("acme", ALL, exact=True) == 2
    assert await engine.backend.facet("acme", "write", ALL, 5) == [("yes", 2)]
    [one, two] = sorted(await engine.backend.retrieve("acme", [1, 2]), key=lambda record: record.id)
    assert (one.payload, two.payload["n"]) == ({"tenant": "acme", "write": "yes"}, 2)
    [found] = await engine.backend.query("acme", [models.QueryRequest(filter=ALL)])
    assert {each.id for each in found} == {"1", "2"}
    await engine.backend.delete("acme", ALL)
    assert await seen(engine) == set()


async def test_other_tenants_stay_in_the_fallback(engine: Engine) -> None:
    promote(engine, ACTIVE)
    await engine.backend.upsert("bolt", [point(1)])

    assert within(engine, "default") == {1}


async def test_a_tenant_that_is_named_like_the_fallback_is_served_from_it(engine: Engine) -> None:
    await engine.backend.upsert("default", [point(1)])

    assert within(engine, "default") == {1}
    assert await engine.backend.count("default", ALL, exact=True) == 1


async def test_a_tenants_shard_that_is_down_is_not_passed_over(engine: Engine) -> None:
    promote(engine, ACTIVE)
    engine.server.state.collection(engine.backend.collection).shards["acme"].down = True

    with pytest.raises(Unavailable) as read:
        await seen(engine)
    with pytest.raises(Unavailable) as write:
        await engine.backend.upsert("acme", [point(1)])
    assert read.value.reason == write.value.reason == "QDRANT_SHARD_UNAVAILABLE"
    assert read.value.retry_after is not None


async def test_a_fallback_that_is_being_filled_can_neither_be_read_nor_written(engine: Engine) -> None:
    """What replicating into the fallback would do to every small tenant."""
    promote(engine, PARTIAL, "default")

    with pytest.raises(Unavailable):
        await seen(engine)
    with pytest.raises(Unavailable):
        await engine.backend.upsert("acme", [point(1)])


async def test_a_missing_fallback_is_told(engine: Engine) -> None:
    engine.server.state.drop_key(engine.backend.collection, "default")

    with pytest.raises(FailedPrecondition, match="Neither target shard key") as raised:
        await seen(engine)
    assert raised.value.reason == "QDRANT_SHARD_KEY_NOT_FOUND"


async def test_a_sweep_sees_a_tenant_once_that_is_in_two_shards(engine: Engine) -> None:
    promote(engine, ACTIVE)
    for key in ("default", "acme"):
        put(engine, key, 1)

    assert isinstance(engine.backend, ServerBackend)
    found, _ = await engine.backend.scroll_everywhere(ALL, 10)
    assert [record.id for record in found] == [1, 1]
    assert await engine.backend.count("acme", ALL, exact=True) == 1
