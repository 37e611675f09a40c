"""A search server as keyword store: what is sent, and every way in which a server does not answer."""

import base64
import json
import uuid

import aiohttp
import pytest

from sluice_api.objects.knowledge_base import Language
from sluice_retriever.keyword import search_bodies
from sluice_retriever.keyword.leg import Found, KeywordLeg
from sluice_retriever.keyword.search_server import SearchServerStore
from sluice_retriever.keyword.store import Entry
from sluice_servicekit import deadlines
from sluice_servicekit.errors import DeadlineExceeded, FailedPrecondition, ServiceError, Unavailable
from support import opensearch
from support.search_server import ELASTICSEARCH_401, OPENSEARCH_401, SearchServer, serving


def entry(write: str = "w") -> Entry:
    return Entry(str(uuid.uuid4()), write, "acme", "document 7", "Title", "text")


def _store(server: SearchServer, secret: str = "", secret_name: str = "") -> SearchServerStore:
    return SearchServerStore(server.url, "kb", Language.ENGLISH, secret, secret_name)


@pytest.mark.parametrize(
    ("secret", "header"),
    [
        ("", None),
        ("VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHAyYXhUTm1zeWFrdzl0dk5udw==", "ApiKey"),
        ("user:pass:word", "Basic"),
    ],
)
async def test_secret_goes_with_every_request(secret: str, header: str | None):
    async with serving(SearchServer(body='{"count": 3}')) as server:
        store = _store(server, secret)
        assert await store.count("acme") == 3
        await store.close()
    sent = server.headers[0].get("Authorization")
    if header == "Basic":
        assert sent == "Basic " + base64.b64encode(secret.encode()).decode()
    else:
        assert sent == (f"{header} {secret}" if header else None)


@pytest.mark.parametrize("body", [ELASTICSEARCH_401, OPENSEARCH_401])
@pytest.mark.parametrize(("named", "remedy"), [("search-key", "check the secret 'search-key'"), ("", "set")])
async def test_refused_credentials_say_what_to_set(body: str, named: str, remedy: str):
    async with serving(SearchServer(status=401, body=body)) as server:
        store = _store(server, "a:b" if named else "", named)
        with pytest.raises(FailedPrecondition, match=remedy) as error:
            await store.ensure()
        await store.close()
    assert error.value.reason == "KEYWORD_STORE_AUTH"
    assert "(401)" in error.value.message


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (503, '{"error":{"type":"cluster_block_exception","reason":"no master"},"status":503}', Unavailable),
        (429, '{"error":{"type":"circuit_breaking_exception","reason":"Data too large"}}', Unavailable),
        (502, "<html>Bad Gateway</html>", Unavailable),
        (400, '{"error":{"type":"parsing_exception","reason":"unknown query"}}', FailedPrecondition),
        (404, '{"error":{"type":"index_not_found_exception","reason":"no such index"}}', FailedPrecondition),
        (302, "", FailedPrecondition),
        (200, "no json", Unavailable),
        (200, "[]", Unavailable),
    ],
)
async def test_errors_have_their_kind(status: int, body: str, kind: type[ServiceError]):
    async with serving(SearchServer(status=status, body=body)) as server:
        store = _store(server)
        with pytest.raises(kind):
            await store.search("acme", "wine", 10)
        await store.close()


async def test_unreachable_server_is_unavailable_and_named_without_its_password():
    store = SearchServerStore("http://user:hidden@127.0.0.1:9", "kb", Language.ENGLISH)
    with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:9 cannot be reached") as error:
        await store.ensure()
    assert "hidden" not in error.value.message
    await store.close()


async def test_silent_server_costs_a_search_no_more_than_it_may_take():
    async with serving(SearchServer(silent=True)) as server:
        store = _store(server)
        assert await KeywordLeg("kb", store).run("acme", "wine", 10, 0.05) == Found(
            [], "keyword: DEADLINE_EXCEEDED"
        )
        with deadlines.limit(0.05), pytest.raises(DeadlineExceeded):
            await store.count("acme")
        await store.close()


async def test_items_that_found_no_room_are_sent_again_and_no_others():
    entries = [entry(), entry(), entry()]
    async with serving(SearchServer(full_for=2)) as server:
        store = _store(server)
        await store.write(entries)
        await store.close()
    sent = [
        [json.loads(line)["index"]["_id"] for line in body.splitlines()[::2]]
        for _, _, body in server.requests
    ]
    ids = [each.point_id for each in entries]
    assert sent == [ids, [ids[0], ids[2]], [ids[0]]]


async def test_server_without_room_is_unavailable_after_a_few_attempts():
    async with serving(SearchServer(full_for=100)) as server:
        store = _store(server)
        with pytest.raises(Unavailable) as error:
            await store.write([entry()])
        await store.close()
    assert error.value.reason == "KEYWORD_STORE_BUSY"
    assert len(server.requests) == 4


async def test_entry_that_the_server_will_never_take_names_its_document():
    async with serving(SearchServer(refuses_item=True)) as server:
        store = _store(server)
        with pytest.raises(FailedPrecondition, match=r"document 7.*failed to parse field \[write\]"):
            await store.write([entry()])
        await store.close()


async def test_tenant_is_both_route_and_filter_and_the_question_a_value():
    async with serving(SearchServer(body='{"hits": {"hits": []}}')) as server:
        store = SearchServerStore(server.url + "/behind/a/proxy/", "kb", Language.ENGLISH)
        await store.search("a&b=c/ü", '") OR *:* "exact words"', 7)
        await store.close()
    (method, path, body) = server.requests[0]
    assert (method, path) == ("POST", "/behind/a/proxy/kb/_search?routing=a%26b%3Dc/%C3%BC")
    query = json.loads(body)["query"]["bool"]
    assert query["filter"] == [{"term": {"tenant": "a&b=c/ü"}}, {"match_phrase": {"text": "exact words"}}]
    assert query["must"] == [{"match": {"text": '") OR *:* "exact words"'}}]


# On a real node.


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory):
    with opensearch.running(tmp_path_factory.mktemp("opensearch")) as url:
        yield url


async def _create(url: str, index: str, body: dict[str, object]) -> None:
    async with aiohttp.ClientSession() as session, session.put(f"{url}/{index}", json=body) as response:
        assert response.status == 200, await response.text()


@pytest.mark.needs("opensearch")
async def test_index_of_another_language_or_shape_is_refused_with_its_reason(node: str):
    index = f"sluice-{uuid.uuid4().hex}"
    german = SearchServerStore(node, index, Language.GERMAN)
    await german.ensure()
    await german.ensure()
    await german.close()
    english = SearchServerStore(node, index, Language.ENGLISH)
    with pytest.raises(FailedPrecondition, match="it was made for another language"):
        await english.ensure()
    await english.close()
    await _create(node, index + "-2", {"mappings": {"properties": {"tenant": {"type": "text"}}}})
    other = SearchServerStore(node, index + "-2", Language.ENGLISH)
    with pytest.raises(FailedPrecondition, match="its field 'tenant' is text and not keyword"):
        await other.ensure()
    await other.close()


@pytest.mark.needs("opensearch")
async def test_index_with_an_analyzer_of_its_own_is_taken_as_it_is(node: str):
    index = f"sluice-{uuid.uuid4().hex}"
    body = search_bodies.index(Language.ENGLISH)
    synonyms = {"type": "synonym", "synonyms": ["holiday, annual leave"]}
    analyzer = {"tokenizer": "standard", "filter": ["lowercase", "synonyms"]}
    body["settings"]["analysis"] = {"filter": {"synonyms": synonyms}, "analyzer": {"own": analyzer}}
    body["mappings"]["properties"]["text"]["analyzer"] = "own"
    await _create(node, index, body)
    store = SearchServerStore(node, index, Language.ENGLISH)
    await store.ensure()
    found = Entry(str(uuid.uuid4()), "w", "acme", "d", "", "30 days of annual leave")
    await store.write([found])
    await store.writes("acme")  # refreshes
    assert [point for point, _ in await store.search("acme", "holiday", 10)] == [found.point_id]
    await store.close()
