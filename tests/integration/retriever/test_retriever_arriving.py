"""Documents by URL and documents that expire, through the real retriever."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from aiohttp import web
from tests.integration.retriever.conftest import running

from sluice.retriever.v1 import retriever_pb2
from sluice_api.objects.knowledge_base import KnowledgeBaseSpec
from sluice_api.snapshot import Snapshot
from sluice_retriever.domain.model import Document, Reader
from sluice_retriever.questions import Search
from sluice_retriever.service import opened, sweeps
from sluice_retriever.settings import RetrieverSettings
from sluice_retriever.sweeping import sweep

if TYPE_CHECKING:
    from tests.integration.retriever.conftest import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")

STORED = retriever_pb2.INGEST_OUTCOME_STORED
UNCHANGED = retriever_pb2.INGEST_OUTCOME_UNCHANGED
REFUSED = retriever_pb2.INGEST_OUTCOME_REFUSED

KEEPING = KnowledgeBaseSpec.model_validate({"expireAfter": "30d"})
MONTH = 30 * 86400.0


@dataclass
class Site:
    """Pages by path, at an address that the retriever may fetch from."""

    url: str = ""
    pages: dict[str, str] = field(default_factory=dict)

    async def answer(self, request: web.Request) -> web.Response:
        if request.path not in self.pages:
            return web.Response(status=404)
        return web.Response(text=self.pages[request.path], content_type="text/html")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_get("/{path:.*}", site.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.2", 0).start()
    site.url = "http://{}:{}".format(*runner.addresses[0])
    yield site
    await runner.cleanup()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fetching(site: Site, tmp_path_factory: pytest.TempPathFactory) -> "AsyncIterator[Client]":
    snapshot = Snapshot(knowledge_bases={"default": KnowledgeBaseSpec(), "keeping": KEEPING})
    settings = {"fetch": "127.0.0.2", "fetch_ports": site.url.rpartition(":")[2]}
    async with running(tmp_path_factory.mktemp("retriever"), snapshot, **settings) as client:
        yield client


async def listed(client: "Client") -> dict[str, float]:
    """Documents, and when they expire; 0 for never."""
    request = retriever_pb2.ListDocumentsRequest(
        principal=client.principal, knowledge_base=client.knowledge_base
    )
    found = (await client.stub.ListDocuments(request)).documents
    return {each.document_id: each.expire_time.ToMilliseconds() / 1000 for each in found}


async def test_a_page_is_found_by_its_words_and_cites_where_it_is_from(
    fetching: "Client", site: Site
) -> None:
    client = replace(fetching, tenant="page")
    site.pages["/otters"] = "<title>Otters</title><p>Otters hold hands while they sleep.</p>"
    url = f"{site.url}/otters"

    [stored] = await client.ingest([{"url": url}])
    [unchanged] = await client.ingest([{"url": url}])
    site.pages["/otters"] = "<title>Otters</title><p>Otters juggle stones.</p>"
    [changed] = await client.ingest([{"url": url}])

    assert [reply.outcome for reply in (stored, unchanged, changed)] == [STORED, UNCHANGED, STORED]
    [passage] = (await client.search("what do otters juggle?")).passages
    assert (passage.document_id, passage.title) == (url, "Otters")
    assert json.loads(passage.metadata_json) == {"url": url}


async def test_a_page_that_cannot_be_had_is_refused_and_costs_no_other(
    fetching: "Client", site: Site
) -> None:
    client = replace(fetching, tenant="refused")
    site.pages["/there"] = "<p>There.</p>"

    replies = await client.ingest(
        [
            {"id": "before", "text": "Before."},
            {"url": f"{site.url}/gone"},
            {"url": site.url.replace("127.0.0.2", "127.0.0.1")},
            {"id": "both", "url": f"{site.url}/there", "text": "Text."},
            {"id": "there", "url": f"{site.url}/there"},
        ]
    )

    assert [reply.outcome for reply in replies] == [STORED, REFUSED, REFUSED, REFUSED, STORED]
    assert replies[1].reason == "FETCH_FAILED: the server answered 404"
    assert replies[2].reason.startswith("URL_NOT_ALLOWED: ")
    assert "beside" in replies[3].reason
    assert set(await listed(client)) == {"before", "there"}


async def test_nothing_inside_is_fetched_unless_it_is_allowed(client: "Client", site: Site) -> None:
    [reply] = await client.ingest([{"url": site.url.replace("127.0.0.2:", "127.0.0.2:80/?")}])

    assert reply.reason == "URL_NOT_ALLOWED: 127.0.0.2 leads to an address that is not allowed"


async def test_a_time_that_is_over_is_refused_and_one_to_come_is_listed(fetching: "Client") -> None:
    client = replace(fetching, tenant="dated")
    soon = round(time.time()) + 1000

    replies = await client.ingest(
        [
            {"id": "past", "text": "Past.", "expire_time": {"seconds": 1000}},
            {"id": "soon", "text": "Soon.", "expire_time": {"seconds": soon}},
            {"id": "never", "text": "Never."},
        ]
    )

    assert [reply.reason for reply in replies] == ["expire_time is in the past", "", ""]
    assert await listed(client) == {"soon": soon, "never": 0}


async def test_the_same_content_with_another_time_is_unchanged_and_has_that_time(fetching: "Client") -> None:
    client = replace(fetching, tenant="prolonged")
    soon, later = (round(time.time()) + more for more in (1000, 2000))
    document = {"id": "a", "text": "The same."}

    await client.ingest([{**document, "expire_time": {"seconds": soon}}])
    [prolonged] = await client.ingest([{**document, "expire_time": {"seconds": later}}])
    times = [await listed(client)]
    [kept] = await client.ingest([document])
    times.append(await listed(client))
    await client.ingest([{**document, "expire_time": {"seconds": when}} for when in (soon, later)])

    assert (prolonged.outcome, kept.outcome) == (UNCHANGED, UNCHANGED)
    assert times == [{"a": later}, {"a": 0}]
    assert await listed(client) == {"a": later}


async def test_a_knowledge_base_says_how_long_documents_are_kept(fetching: "Client") -> None:
    client = replace(fetching, tenant="kept", knowledge_base="keeping")

    await client.ingest([{"id": "a", "text": "The same."}])
    expires = (await listed(client))["a"]
    [again] = await client.ingest([{"id": "a", "text": "The same."}])

    assert again.outcome == UNCHANGED
    assert time.time() + 0.96 * MONTH < expires <= time.time() + MONTH


async def test_what_has_expired_is_swept_and_the_rest_stays(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = RetrieverSettings(data_dir=tmp_path_factory.mktemp("swept"))
    now = time.time()
    async with opened(settings) as retriever:
        await retriever.knowledge_bases.apply({"a": KnowledgeBaseSpec(), "b": KEEPING})
        for name in ("a", "b"):
            group = [Document("dated", "Dated.", expires=now + 1000), Document("other", "Other.")]
            async for _ in retriever.ingestion.ingest("acme", name, group):
                pass

        left = []
        for later in (900.0, 1100.0, MONTH):
            await sweep(lambda: sweeps(retriever.knowledge_bases), lambda later=later: now + later)
            left.append([(await retriever.ingestion.usage("acme", name)).documents for name in ("a", "b")])

    assert left == [[2, 2], [1, 1], [1, 0]]


async def test_what_has_expired_is_not_found_though_it_is_still_there(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    settings = RetrieverSettings(data_dir=tmp_path_factory.mktemp("hidden"))
    look = Search(Reader("acme"), "default", "what do otters hold?", 10)
    async with opened(settings) as retriever:
        await retriever.knowledge_bases.apply({"default": KnowledgeBaseSpec()})
        store = retriever.knowledge_bases.home("default").store
        async for _ in retriever.ingestion.ingest("acme", "default", [Document("a", "Otters hold hands.")]):
            pass
        found = []
        for expires in (time.time() - 1, time.time() + 1000, None):
            await store.touch("acme", {"a": expires})
            found.append(
                [passage.document_id for passage in (await retriever.questions.search(look)).passages]
            )

    assert found == [[], ["a"], ["a"]]
