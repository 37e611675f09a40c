"""A knowledge base with a keyword store beside its vectors, through the whole retriever."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from tests.integration.retriever.conftest import Client, running

from sluice.common.v1 import common_pb2
from sluice.retriever.v1 import retriever_pb2
from sluice_api.objects.knowledge_base import KnowledgeBaseSpec, Language
from sluice_api.snapshot import Snapshot
from sluice_retriever.keyword.store import Entry
from sluice_retriever.keyword.tantivy_store import TantivyStore
from support import opensearch

TENANT = "acme"
FOX = {"id": "fox", "text": "The quick brown fox jumps over the lazy dog."}
DOG = {"id": "dog", "text": "A dog that is lazy sleeps all day. Foxes are quick."}


def _snapshot(keyword: dict[str, Any] | None = None, language: str = "en") -> Snapshot:
    spec = {"sparse": {"language": language}, **({"keyword": keyword} if keyword else {})}
    return Snapshot(knowledge_bases={"default": KnowledgeBaseSpec.model_validate(spec)})


EMBEDDED = _snapshot({"embedded": {}})


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    async with running(tmp_path_factory.mktemp("retriever"), EMBEDDED) as client:
        yield client


async def _entries(folder: Path) -> dict[str, int]:
    """Entries by write, once the retriever has let go of them."""
    store = TantivyStore(folder / "knowledge" / "default" / "keyword", Language.ENGLISH)
    await store.ensure()
    try:
        return await store.writes(TENANT)
    finally:
        await store.close()


def _legs(passage: common_pb2.Passage) -> set[str]:
    return {leg.leg for leg in passage.legs}


async def _found_by_keyword(client: Client, query: str, **more: object) -> list[str]:
    """Documents that the keyword leg has found; whether it failed is the caller's to check."""
    response = await client.search(query, **more)
    return [passage.document_id for passage in response.passages if "keyword" in _legs(passage)]


async def _eventually_found(client: Client, query: str, expected: list[str]) -> None:
    async with asyncio.timeout(20):
        while await _found_by_keyword(client, query) != expected:  # noqa: ASYNC110 - the store has no event
            await asyncio.sleep(0.05)


async def test_keyword_store_is_one_more_leg(client: Client):
    await client.ingest([FOX, DOG])
    response = await client.search("quick fox", explain=True)
    assert list(response.degraded) == []
    assert response.explanations[0].candidates["keyword"] == 2
    assert _legs(response.passages[0]) == {"dense", "sparse", "tokens", "keyword"}
    assert await _found_by_keyword(client, '"lazy dog"') == ["fox"]


async def test_without_weight_it_is_not_asked(client: Client):
    await client.ingest([FOX])
    assert await _found_by_keyword(client, "fox", parameters={"fusion": {"keyword": 0.0}}) == []


async def test_hits_that_the_reader_may_not_see_are_neither_shown_nor_fused(client: Client):
    await client.ingest([{**FOX, "acl": ["board"]}, DOG])
    # Without the token leg, whose own filter would drop them too.
    only_keyword = {"token_match": "TOKEN_MATCH_OFF", "fusion": {"keyword": 100.0}}
    assert await client.found('"lazy dog"', parameters=only_keyword) == ["dog"]
    assert await _found_by_keyword(client, '"lazy dog"', parameters=only_keyword) == []
    board = replace(client, acl=("board",))
    assert (await board.found('"lazy dog"', parameters=only_keyword))[0] == "fox"


async def test_other_tenants_have_other_hits(client: Client):
    await client.ingest([FOX])
    other = replace(client, tenant="other")
    await other.ingest([DOG])
    assert await _found_by_keyword(other, "quick fox") == ["dog"]


async def test_filters_hold_for_the_keyword_leg(client: Client):
    await client.ingest(
        [{**FOX, "metadata_json": '{"kind": "a"}'}, {**DOG, "metadata_json": '{"kind": "b"}'}]
    )
    value = {"match": {"field": "kind", "any_of": [{"string_value": "b"}]}}
    assert await _found_by_keyword(client, "quick fox", filter={"must": [value]}) == ["dog"]


async def test_entries_follow_documents_that_are_replaced_and_deleted(tmp_path: Path):
    async with running(tmp_path, EMBEDDED) as client:
        await client.ingest([FOX, DOG])
        await client.ingest([{**FOX, "text": "An elephant."}])
        assert await _found_by_keyword(client, "elephant") == ["fox"]
        assert await _found_by_keyword(client, "jumps") == []
        await client.stub.DeleteDocuments(_deletion(client, "dog"))
    assert list((await _entries(tmp_path)).values()) == [1]


def _deletion(client: Client, *ids: str) -> retriever_pb2.DeleteDocumentsRequest:
    return retriever_pb2.DeleteDocumentsRequest(
        principal=client.principal, knowledge_base="default", document_ids=ids
    )


async def test_lost_entries_are_made_good_and_strays_removed_at_the_next_start(tmp_path: Path):
    async with running(tmp_path, EMBEDDED) as client:
        await client.ingest([FOX, DOG])
    shutil.rmtree(tmp_path / "knowledge" / "default" / "keyword")
    stray = TantivyStore(tmp_path / "knowledge" / "default" / "keyword", Language.ENGLISH)
    await stray.ensure()
    await stray.write([Entry(str(uuid.uuid4()), "stray", TENANT, "gone", "", "a quick fox")])
    await stray.close()
    async with running(tmp_path, EMBEDDED) as client:
        await _eventually_found(client, "jumps over", ["fox"])
        assert sorted(await client.found("quick fox")) == ["dog", "fox"]
    entries = await _entries(tmp_path)
    assert len(entries) == 2
    assert "stray" not in entries


async def test_keyword_store_that_comes_later_is_filled_from_the_vectors(tmp_path: Path):
    async with running(tmp_path, _snapshot()) as client:
        await client.ingest([FOX, DOG])
        assert await _found_by_keyword(client, "jumps") == []
        await client.snapshots.take(EMBEDDED.digest, EMBEDDED.content)
        await _eventually_found(client, "jumps", ["fox"])
        german = _snapshot({"embedded": {}}, "de")
        await client.snapshots.take(german.digest, german.content)
        await _eventually_found(client, "jumps", ["fox"])
        none = _snapshot()
        await client.snapshots.take(none.digest, none.content)
        assert await _found_by_keyword(client, "jumps") == []


async def test_rebuild_keeps_the_keyword_store(tmp_path: Path):
    async with running(tmp_path, EMBEDDED) as client:
        await client.ingest([FOX])
        request = retriever_pb2.RebuildRequest(principal=client.principal, knowledge_base="default")
        assert [progress.done async for progress in client.stub.Rebuild(request)][-1]
        assert await _found_by_keyword(client, "jumps") == ["fox"]
        await client.ingest([DOG])
        assert await _found_by_keyword(client, "sleeps") == ["dog"]
    assert sorted((await _entries(tmp_path)).values()) == [1, 1]


@pytest.mark.parametrize("kind", ["openSearch", "elasticsearch"])
async def test_dead_server_costs_neither_documents_nor_answers(tmp_path: Path, kind: str):
    snapshot = _snapshot({kind: {"url": "http://127.0.0.1:9"}})
    async with running(tmp_path, snapshot) as client:
        outcomes = await client.ingest([FOX, DOG])
        assert [outcome.chunks for outcome in outcomes] == [1, 1]
        response = await client.search("quick fox")
        assert list(response.degraded) == ["keyword: UNAVAILABLE"]
        assert {passage.document_id for passage in response.passages} == {"fox", "dog"}


async def test_secret_that_cannot_be_read_refuses_the_snapshot(tmp_path: Path):
    snapshot = _snapshot({"openSearch": {"url": "http://127.0.0.1:9", "apiKeySecret": "search"}})
    async with running(tmp_path, _snapshot()) as client:
        refused = await client.snapshots.take(snapshot.digest, snapshot.content)
        assert "names the secret 'search'; set SLUICE_SECRETS_DIR" in refused
        await client.ingest([FOX])
        assert await client.found("fox") == ["fox"]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with opensearch.running(tmp_path_factory.mktemp("opensearch")) as url:
        yield url


@pytest.mark.needs("opensearch")
async def test_opensearch_is_filled_written_and_searched(tmp_path: Path, node: str):
    index = f"sluice-{uuid.uuid4().hex}"
    async with running(tmp_path, _snapshot()) as client:
        await client.ingest([FOX])
        snapshot = _snapshot({"openSearch": {"url": node, "index": index}})
        await client.snapshots.take(snapshot.digest, snapshot.content)
        await _eventually_found(client, "jumps", ["fox"])
        await client.ingest([DOG])
        await _eventually_found(client, "sleeps", ["dog"])
        await client.stub.DeleteDocuments(_deletion(client, "fox"))
    async with aiohttp.ClientSession() as session:
        await session.post(f"{node}/{index}/_refresh")
        async with session.get(f"{node}/{index}/_count") as response:
            assert (await response.json())["count"] == 1
