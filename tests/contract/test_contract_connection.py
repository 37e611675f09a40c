"""What a retriever says when a server is not as it should be."""

import asyncio
from pathlib import Path

import pytest
from qdrant_client import models

from sluice_api.objects.knowledge_base import FieldType, MetadataField, Quantization, SelfHosted
from sluice_retriever.store.conditions import metadata_key
from sluice_retriever.store.schema import FORMAT
from sluice_retriever.store.server.capabilities import unsupported
from sluice_retriever.store.server.connection import Connection, connect
from sluice_retriever.store.server.generations import ServerGenerations
from sluice_servicekit import deadlines
from sluice_servicekit.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    ResourceExhausted,
    ServiceError,
    Unavailable,
)
from support.engines import manifest
from support.qdrant_server import QdrantServer, serving


async def refusal(where: SelfHosted, secrets: Path | None = None) -> ServiceError:
    with pytest.raises(ServiceError) as raised:
        await connect(where, secrets)
    return raised.value


@pytest.mark.parametrize(("version", "cluster"), [("1.17.1", True), ("1.20.0-dev", False)])
async def test_a_server_says_what_it_is(version: str, cluster: bool) -> None:
    async with serving(QdrantServer(version=version, cluster=cluster)) as server:
        connection = await connect(server.self_hosted, None)
        await connection.close()

    assert (connection.capabilities.cluster, str(connection.capabilities.version)) == (cluster, version[:6])
    assert len(unsupported(connection.capabilities)) == (1 if version == "1.17.1" else 0)


@pytest.mark.parametrize("version", ["1.17.0", "1.9.0", "0.11.7", "unknown"])
async def test_a_server_that_is_too_old_is_refused(version: str) -> None:
    async with serving(QdrantServer(version=version)) as server:
        error = await refusal(server.self_hosted)

    assert (type(error), error.reason) == (FailedPrecondition, "QDRANT_TOO_OLD")
    assert version in error.message


async def test_turbo_needs_a_server_that_has_it(tmp_path: Path) -> None:
    async with serving(QdrantServer(version="1.17.1")) as server:
        connection = await connect(server.self_hosted, None)
        with pytest.raises(FailedPrecondition, match=r"turbo needs Qdrant 1\.18") as raised:
            await ServerGenerations(connection, "kb").create(manifest(Quantization.TURBO), ())
        await connection.close()
        assert server.state.collections == {}

    assert raised.value.reason == "QDRANT_TOO_OLD"


async def test_a_server_that_is_not_there_is_tried_again_later() -> None:
    where = SelfHosted(url="http://127.0.0.1:1", grpc_port=1)
    with pytest.raises(Unavailable, match=r"Qdrant at 127\.0\.0\.1:1 cannot be reached") as raised:
        await connect(where, None)
    assert raised.value.retry_after is not None


async def test_a_server_that_does_not_answer_is_tried_again_later() -> None:
    async with serving(QdrantServer()) as server:
        server.slow = 60.0
        with deadlines.limit(0.05):
            error = await refusal(server.self_hosted)

    assert (type(error), error.reason) == (Unavailable, "QDRANT_UNREACHABLE")


async def test_the_key_comes_from_the_secrets_directory(tmp_path: Path) -> None:
    (tmp_path / "qdrant-key").write_text("s3cret\n")
    async with serving(QdrantServer(api_key="s3cret")) as server:
        where = server.self_hosted.model_copy(update={"api_key_secret": "qdrant-key"})
        connection = await connect(where, tmp_path)
        await ServerGenerations(connection, "kb").create(manifest(), ())
        await connection.close()
        assert list(server.state.collections) == ["kb--g000001"]


async def test_a_key_that_is_not_the_servers_is_named_by_its_secret(tmp_path: Path) -> None:
    (tmp_path / "qdrant-key").write_text("other")
    async with serving(QdrantServer(api_key="s3cret")) as server:
        where = server.self_hosted.model_copy(update={"api_key_secret": "qdrant-key"})
        wrong = await refusal(where, tmp_path)
        missing = await refusal(server.self_hosted)
        unreadable = await refusal(where, tmp_path / "nowhere")

    assert wrong.reason == missing.reason == "QDRANT_REFUSED_KEY"
    assert "'qdrant-key'" in wrong.message
    assert "other" not in wrong.message
    assert "apiKeySecret" in missing.message
    assert "'qdrant-key' cannot be read" in unreadable.message


@pytest.fixture
async def connected():
    """A double with a generation, and a connection."""
    async with serving(QdrantServer()) as server:
        connection = await connect(server.self_hosted, None)
        await ServerGenerations(connection, "kb").create(manifest(), ())
        yield server, connection
        await connection.close()


async def count(connection: Connection) -> int:
    return await ServerGenerations(connection, "kb").backend("g000001").count("acme", None, exact=True)


async def test_a_servers_limit_is_passed_on_with_its_time(connected: tuple[QdrantServer, Connection]) -> None:
    server, connection = connected
    server.limited = 7

    with pytest.raises(ResourceExhausted) as raised:
        await count(connection)
    assert (raised.value.reason, raised.value.retry_after) == ("QDRANT_LIMIT", 7.0)


async def test_a_limit_of_strict_mode_is_told(connected: tuple[QdrantServer, Connection]) -> None:
    server, connection = connected
    server.state.max_query_limit = 10
    request = models.QueryRequest(query=[0.1] * 64, using="dense", limit=50)

    with pytest.raises(FailedPrecondition, match=r"Limit exceeded 50 > 10") as raised:
        await ServerGenerations(connection, "kb").backend("g000001").query("acme", [request])
    assert raised.value.reason == "QDRANT_REFUSED_REQUEST"


async def test_a_server_that_starts_is_unavailable(connected: tuple[QdrantServer, Connection]) -> None:
    server, connection = connected
    server.unavailable = True

    with pytest.raises(Unavailable) as raised:
        await count(connection)
    assert raised.value.reason == "QDRANT_UNREACHABLE"


async def test_a_server_is_not_waited_for_past_the_deadline(
    connected: tuple[QdrantServer, Connection],
) -> None:
    server, connection = connected
    server.slow = 60.0

    with deadlines.limit(0.05), pytest.raises(DeadlineExceeded):
        await count(connection)


async def test_a_missing_collection_is_told(connected: tuple[QdrantServer, Connection]) -> None:
    server, connection = connected
    server.state.drop("kb--g000001")

    with pytest.raises(ServiceError) as raised:
        await count(connection)
    assert raised.value.reason == "QDRANT_COLLECTION_NOT_FOUND"


async def test_a_generation_is_made_with_all_its_indexes(connected: tuple[QdrantServer, Connection]) -> None:
    server, connection = connected
    fields = (
        MetadataField(name="a b.c", type=FieldType.DATETIME),
        MetadataField(name="t", type=FieldType.TEXT),
    )
    await ServerGenerations(connection, "kb").create(manifest(), fields)
    indexes = server.state.collection("kb--g000001").indexes

    assert indexes["tenant"].is_tenant
    assert indexes["write"].enable_hnsw is False
    assert {name: getattr(params, "type", params).value for name, params in indexes.items()} == {
        "tenant": "keyword",
        "document": "keyword",
        "write": "keyword",
        "acl": "keyword",
        "true_fields": "keyword",
        "false_fields": "keyword",
        "expires": "float",
        "pending": "float",
        "record": "bool",
        'metadata."a b"."c"': "datetime",
        'metadata."t"': "text",
    }
    assert server.state.keys("kb--g000001") == ["default"]


async def test_values_of_an_indexed_field_are_counted(connected: tuple[QdrantServer, Connection]) -> None:
    _, connection = connected
    generations = ServerGenerations(connection, "kb")
    backend = generations.backend("g000001")
    payload = {"tenant": "acme", "metadata": {"a b": ["x", "y"]}}
    await backend.upsert("acme", [models.PointStruct(id=1, vector={}, payload=payload)])
    with pytest.raises(FailedPrecondition, match="No appropriate index"):
        await backend.facet("acme", metadata_key("a b"), None, 5)
    await generations.create(manifest(), (MetadataField(name="a b", type=FieldType.KEYWORD),))

    assert await backend.facet("acme", metadata_key("a b"), None, 5) == [("x", 1), ("y", 1)]


async def test_a_generation_that_is_there_is_left_as_it_is(
    connected: tuple[QdrantServer, Connection],
) -> None:
    server, connection = connected
    before = server.state.collection("kb--g000001").config
    scalar = models.ScalarQuantization(scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8))
    before.vectors["dense"].quantization_config = scalar
    drift = await ServerGenerations(connection, "kb").create(manifest(), ())

    assert server.state.collection("kb--g000001").config is before
    assert drift == ("dense.quantization_config is {'scalar': {'type': 'int8'}}, not None",)


async def test_a_generation_with_other_settings_is_not_taken_for_it(
    connected: tuple[QdrantServer, Connection],
) -> None:
    _, connection = connected

    with pytest.raises(FailedPrecondition, match="made with other settings"):
        await ServerGenerations(connection, "kb").create(manifest(Quantization.SCALAR), ())


async def test_a_collection_of_another_kind_is_refused(connected: tuple[QdrantServer, Connection]) -> None:
    _, connection = connected
    other = manifest().model_copy(update={"dense_dimension": 768})

    with pytest.raises(FailedPrecondition, match=r"dense\.size is 64, not 768") as raised:
        await ServerGenerations(connection, "kb").create(other, ())
    assert raised.value.reason == "QDRANT_COLLECTION_DIFFERS"


async def test_replicas_that_make_one_generation_at_once_all_have_it() -> None:
    async with serving(QdrantServer()) as server:
        connections = [await connect(server.self_hosted, None) for _ in range(4)]
        made = await asyncio.gather(
            *(ServerGenerations(each, "kb").create(manifest(), ()) for each in connections)
        )
        for each in connections:
            await each.close()

    assert made == [()] * 4


async def test_generations_take_turns() -> None:
    first, second = manifest(), manifest().model_copy(update={"generation": "g000002"})
    async with serving(QdrantServer()) as server:
        connection = await connect(server.self_hosted, None)
        generations = ServerGenerations(connection, "kb")
        other = ServerGenerations(connection, "kb--more")
        assert (await generations.current(), await generations.names()) == (None, [])
        await generations.create(first, ())
        await generations.put_in_force("g000001")
        await other.create(first, ())
        await generations.create(second, ())
        between = await generations.current(), await generations.after("g000001"), await generations.names()
        await generations.put_in_force("g000002")
        await generations.keep_only("g000002")
        after = await generations.current(), await generations.names()
        left = sorted(server.state.collections)
        await connection.close()

    assert between == (first, [second], ["g000001", "g000002"])
    assert after == (second, ["g000002"])
    assert left == ["kb--g000002", "kb--more--g000001"]


async def test_a_collection_without_a_manifest_is_not_opened() -> None:
    async with serving(QdrantServer()) as server:
        connection = await connect(server.self_hosted, None)
        server.state.create("kb--x", models.CreateCollection(vectors={}))
        server.state.aliases["kb"] = "kb--x"
        with pytest.raises(FailedPrecondition, match="no manifest") as raised:
            await ServerGenerations(connection, "kb").current()
        await connection.close()

    assert raised.value.reason == "KNOWLEDGE_BASE_CANNOT_BE_OPENED"


async def test_a_generation_of_another_format_is_not_opened(
    connected: tuple[QdrantServer, Connection],
) -> None:
    server, connection = connected
    metadata = server.state.collection("kb--g000001").config.metadata
    metadata["sluice"]["format"] = FORMAT + 1
    generations = ServerGenerations(connection, "kb")
    await generations.put_in_force("g000001")

    with pytest.raises(FailedPrecondition, match=f"format {FORMAT + 1}, not {FORMAT}"):
        await generations.current()
