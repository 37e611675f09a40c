"""Documents as they arrive: fetched, dated, or refused."""

import json
from dataclasses import dataclass, field

import pytest

from sluice_retriever.arriving import Arrivals
from sluice_retriever.domain import documents
from sluice_retriever.domain.model import Document
from sluice_retriever.fetching.fetcher import Fetched
from sluice_servicekit.fetching.failures import FetchFailed

NOW = 1_800_000_000.0


@dataclass
class Pages:
    """A fetcher that has some pages."""

    pages: dict[str, Fetched]
    asked: list[str] = field(default_factory=list)

    async def fetch(self, url: str) -> Fetched:
        self.asked.append(url)
        if url not in self.pages:
            raise FetchFailed("the server answered 404")
        return self.pages[url]


async def complete(*group: Document, expire_after: float | None = None) -> tuple[list[Document], Pages]:
    pages = Pages({"http://a/page": Fetched(b"<p>Text.</p>", "text/html")})
    return await Arrivals(pages, lambda: NOW).complete(group, expire_after), pages


async def test_a_url_becomes_content_with_its_kind_and_says_where_it_is_from() -> None:
    [document], _ = await complete(Document("http://a/page", "", url="http://a/page"))

    assert (document.content, document.media_type, document.url) == (b"<p>Text.</p>", "text/html", "")
    assert json.loads(document.metadata_json) == {"url": "http://a/page"}
    assert documents.refusal(document) == ""


async def test_what_the_owner_says_goes_before_what_the_server_says() -> None:
    given = Document(
        "a", "", metadata_json='{"url": "https://elsewhere"}', media_type="text/plain", url="http://a/page"
    )

    [document], _ = await complete(given)

    assert (document.id, document.media_type) == ("a", "text/plain")
    assert json.loads(document.metadata_json) == {"url": "https://elsewhere"}


async def test_a_page_that_cannot_be_had_costs_no_other_document() -> None:
    before, bad, after = Document("1", "One."), Document("2", "", url="http://a/no"), Document("3", "Three.")

    completed, _ = await complete(before, bad, after)

    assert [documents.refusal(document) for document in completed] == [
        "",
        "FETCH_FAILED: the server answered 404",
        "",
    ]


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (Document("a", "Text.", url="http://a/page"), "beside"),
        (Document("a", "", content=b"x", url="http://a/page"), "beside"),
        (Document("", "", url="http://a/page"), "id is empty"),
        (Document("a", "", metadata_json="[]", url="http://a/page"), "metadata"),
        (Document("a", "", metadata_json="{", url="http://a/page"), "metadata"),
        (Document("a", "", media_type="image/png", url="http://a/page"), "media_type"),
        (Document("a", "", url="http://a/page", expires=NOW), "in the past"),
    ],
)
async def test_what_would_be_refused_anyway_is_not_fetched(document: Document, says: str) -> None:
    [completed], pages = await complete(document)

    assert says in documents.refusal(completed)
    assert pages.asked == []


async def test_a_document_expires_when_it_says_else_when_its_knowledge_base_says() -> None:
    own, other = Document("a", "A.", expires=NOW + 5), Document("b", "B.")

    (dated, defaulted), _ = await complete(own, other, expire_after=64.0)
    (_, never), _ = await complete(own, other)

    assert (dated.expires, defaulted.expires, never.expires) == (NOW + 5, NOW + 64, None)


@pytest.mark.parametrize(
    ("expires", "says"), [(NOW, "in the past"), (0.0, "in the past"), (-1e12, "in the past"), (1e12, "9999")]
)
async def test_a_time_that_is_over_or_beyond_all_time_is_refused(expires: float, says: str) -> None:
    [document], _ = await complete(Document("a", "A.", expires=expires))

    assert says in documents.refusal(document)


def test_time_is_no_part_of_the_digest() -> None:
    assert documents.digest(Document("a", "A.", expires=1.0), "c", "m") == documents.digest(
        Document("a", "A."), "c", "m"
    )
