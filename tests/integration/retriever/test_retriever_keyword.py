"""What every keyword store has to do, on Tantivy and on a real OpenSearch node."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from sluice_api.objects.knowledge_base import Language
from sluice_retriever.keyword.search_server import SearchServerStore
from sluice_retriever.keyword.store import Entry, KeywordStore
from sluice_retriever.keyword.tantivy_store import TantivyStore
from support import opensearch

TENANT = "acme"


@dataclass(frozen=True)
class Engine:
    """How a kind of store is opened, on the same data each time."""

    open: Callable[[Language], KeywordStore]
    settle: Callable[[], Awaitable[None]]
    """Has what was written found."""


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with opensearch.running(tmp_path_factory.mktemp("opensearch")) as url:
        yield url


@pytest.fixture(params=["tantivy", pytest.param("opensearch", marks=pytest.mark.needs("opensearch"))])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    if request.param == "tantivy":
        return Engine(lambda language: TantivyStore(tmp_path, language), lambda: asyncio.sleep(0))
    url, index = request.getfixturevalue("node"), f"sluice-{uuid.uuid4().hex}"

    async def settle() -> None:
        async with aiohttp.ClientSession() as session, session.post(f"{url}/{index}/_refresh") as response:
            assert response.status == 200

    return Engine(lambda language: SearchServerStore(url, index, language), settle)


@pytest_asyncio.fixture
async def store(engine: Engine) -> AsyncIterator[KeywordStore]:
    store = engine.open(Language.ENGLISH)
    await store.ensure()
    yield store
    await store.close()


def entry(text: str, write: str = "w", tenant: str = TENANT, title: str = "", document: str = "d") -> Entry:
    return Entry(str(uuid.uuid4()), write, tenant, document, title, text)


async def _texts(store: KeywordStore, entries: list[Entry], query: str, limit: int = 10) -> list[str]:
    """What is found of the entries, best first."""
    texts = {each.point_id: each.text for each in entries}
    return [texts[point] for point, _ in await store.search(TENANT, query, limit)]


async def test_rarer_words_count_more_and_scores_fall(store: KeywordStore, engine: Engine):
    entries = [entry("bread and water"), entry("bread and salt"), entry("bread and saffron with water")]
    await store.write(entries)
    await engine.settle()
    hits = await store.search(TENANT, "bread with saffron", 10)
    assert hits[0][0] == entries[2].point_id
    assert len(hits) == 3
    assert [score for _, score in hits] == sorted((score for _, score in hits), reverse=True)
    assert len(await store.search(TENANT, "bread with saffron", 2)) == 2


async def test_words_are_found_by_their_stem_without_case_and_accents(store: KeywordStore, engine: Engine):
    entries = [entry("The CAFÉ was closing"), entry("A tea house")]
    await store.write(entries)
    await engine.settle()
    assert await _texts(store, entries, "which cafe closes?") == ["The CAFÉ was closing"]


async def test_title_is_found_too(store: KeywordStore, engine: Engine):
    entries = [entry("It is 40 hours.", title="Contract › Working time"), entry("It is 30 days.")]
    await store.write(entries)
    await engine.settle()
    assert await _texts(store, entries, "working time") == ["It is 40 hours."]


async def test_quoted_words_have_to_stand_together_in_their_order(store: KeywordStore, engine: Engine):
    entries = [entry("red wine and white bread"), entry("white wine and red bread"), entry("bread")]
    await store.write(entries)
    await engine.settle()
    assert len(await _texts(store, entries, "white bread")) == 3
    assert await _texts(store, entries, 'bread "white bread"') == ["red wine and white bread"]
    assert await _texts(store, entries, '"bread white"') == []


@pytest.mark.parametrize(
    "query",
    [
        "tenant:other",
        "*",
        "*:*",
        "wine OR tenant:other",
        "(((",
        'text:"',
        "secret~2 AND /.*/",
        "\\",
        '{"match_all":{}}',
        "+secret -wine",
        "\x00",
    ],
)
async def test_a_question_is_no_syntax_and_never_reaches_another_tenant(
    store: KeywordStore, engine: Engine, query: str
):
    theirs = entry("secret of the other tenant: wine", tenant="other")
    ours = entry("wine of ours")
    await store.write([theirs, ours])
    await engine.settle()
    assert {point for point, _ in await store.search(TENANT, query, 10)} <= {ours.point_id}
    assert [point for point, _ in await store.search("other", "secret", 10)] == [theirs.point_id]


async def test_question_of_nothing_but_stop_words_finds_nothing(store: KeywordStore, engine: Engine):
    await store.write([entry("wine")])
    await engine.settle()
    for query in ("the of and", "?!", '"the"'):
        assert await store.search(TENANT, query, 10) == []


async def test_question_of_many_words_is_answered(store: KeywordStore, engine: Engine):
    entries = [entry("葡萄酒 wine")]
    await store.write(entries)
    await engine.settle()
    assert await _texts(store, entries, "wine " + " ".join(f"word{number}" for number in range(5000)))
    await store.search(TENANT, "酒" * 5000, 10)


async def test_an_entry_written_again_takes_the_place_of_the_one_before(store: KeywordStore, engine: Engine):
    before = entry("wine")
    after = Entry(before.point_id, before.write_id, TENANT, "d", "", "water")
    await store.write([before])
    await store.write([after])
    await engine.settle()
    assert await store.search(TENANT, "wine", 10) == []
    assert await _texts(store, [after], "water") == ["water"]
    assert await store.count(TENANT) == 1


async def test_writes_are_counted_and_removed(store: KeywordStore, engine: Engine):
    await store.write([entry("wine", "one"), entry("water", "one"), entry("salt", "two")])
    await store.write([entry("wine", "three", tenant="other")])
    await engine.settle()
    assert await store.writes(TENANT) == {"one": 2, "two": 1}
    assert await store.tenants() == {TENANT, "other"}
    await store.delete_writes(TENANT, ["one", "three", "unknown"])
    await engine.settle()
    assert await store.writes(TENANT) == {"two": 1}
    assert await store.search(TENANT, "wine", 10) == []
    assert await store.count(TENANT) == 1
    assert await store.count("other") == 1


async def test_what_was_just_written_can_be_removed_at_once(store: KeywordStore, engine: Engine):
    await store.write([entry("wine", "one")])
    await store.delete_writes(TENANT, ["one"])
    await engine.settle()
    assert await store.count(TENANT) == 0


async def test_more_writes_than_a_page_are_all_listed(store: KeywordStore, engine: Engine):
    await store.write([entry("wine", f"write-{number:04}") for number in range(2001)])
    await engine.settle()
    assert len(await store.writes(TENANT)) == 2001


async def test_unknown_tenant_has_nothing(store: KeywordStore):
    assert await store.search("nobody", "wine", 10) == []
    assert await store.count("nobody") == 0
    assert await store.writes("nobody") == {}
    await store.delete_writes("nobody", ["one"])


async def test_entries_outlive_the_store(engine: Engine):
    store = engine.open(Language.ENGLISH)
    await store.ensure()
    await store.write([entry("wine")])
    await store.close()
    again = engine.open(Language.ENGLISH)
    await again.ensure()
    await engine.settle()
    assert await again.count(TENANT) == 1
    await again.close()


@pytest.mark.parametrize(
    ("language", "text", "query"),
    [
        (Language.GERMAN, "Die Häuser am Fluss", "Welches Haus?"),
        (Language.FRENCH, "l'école des élèves", "une ecole"),
        (Language.SPANISH, "las canciones", "canción"),
        (Language.ITALIAN, "le nazioni dell'acqua", "nazione"),
        (Language.PORTUGUESE, "as casas às margens", "casa"),
        (Language.DUTCH, "de huizen en boeken", "boek"),
    ],
)
async def test_each_language_has_its_stems(engine: Engine, language: Language, text: str, query: str):
    store = engine.open(language)
    await store.ensure()
    entries = [entry(text)]
    await store.write(entries)
    await engine.settle()
    assert await _texts(store, entries, query) == [text]
    await store.close()


async def test_without_a_language_words_are_found_as_they_are(engine: Engine):
    store = engine.open(Language.NONE)
    await store.ensure()
    entries = [entry("The houses")]
    await store.write(entries)
    await engine.settle()
    assert await _texts(store, entries, "the") == ["The houses"]
    assert await _texts(store, entries, "house") == []
    await store.close()
