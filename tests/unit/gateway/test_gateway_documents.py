"""Documents as REST has them."""

import pytest

from sluice.retriever.v1 import retriever_pb2
from sluice_gateway.http.documents import document_of, listed, uploaded
from sluice_servicekit.errors import InvalidArgument

NOW = 1_800_000_000.25


def accepted(entry: dict[str, object]) -> retriever_pb2.Document:
    document = document_of(entry, NOW)
    assert isinstance(document, retriever_pb2.Document), document
    return document


def test_a_url_goes_on_as_it_is_and_may_stand_for_the_id() -> None:
    assert accepted({"url": "https://a.example/x"}).url == "https://a.example/x"
    assert accepted({"url": "https://a.example/x"}).id == ""
    assert accepted({"id": "x", "url": "https://a.example/x", "acl": ["staff"]}).id == "x"


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({"expire_time": "2027-01-31T12:00:00Z"}, 1801396800.0),
        ({"expire_time": "2027-01-31T14:00:00.5+02:00"}, 1801396800.5),
        ({"ttl": "32d"}, 1_802_736_000.0),  # whole days since 1970
        ({"ttl": "320ms"}, 1_800_000_000.57),
    ],
)
def test_a_document_says_when_it_expires_as_a_time_or_from_now(given: dict[str, str], seconds: float) -> None:
    time = accepted({"id": "a", "text": "A.", **given}).expire_time
    assert time.seconds + time.nanos / 1e9 == seconds
    assert uploaded("a", b"A.", "", given, NOW).expire_time == time


def test_a_document_that_says_nothing_of_it_leaves_it_to_the_knowledge_base() -> None:
    assert not accepted({"id": "a", "text": "A."}).HasField("expire_time")
    assert not uploaded("a", b"A.", "", {}, NOW).HasField("expire_time")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"expire_time": "tomorrow"}, "'tomorrow' is no time"),
        ({"expire_time": "2027-01-31"}, "is no time"),
        ({"expire_time": "2027-01-31T12:00:00"}, "is no time"),
        ({"ttl": "30"}, "duration"),
        ({"ttl": "-1d"}, "duration"),
        ({"ttl": ""}, "duration"),
        ({"ttl": "9" * 12 + "d"}, "is no time"),
        ({"ttl": "9" * 400 + "d"}, "duration"),
        ({"ttl": "1d", "expire_time": "2027-01-31T12:00:00Z"}, "both given"),
    ],
)
def test_a_time_without_meaning_is_refused(given: dict[str, str], says: str) -> None:
    refused = document_of({"id": "a", "text": "A.", **given}, NOW)
    assert isinstance(refused, retriever_pb2.IngestResponse)
    assert (refused.document_id, says in refused.reason) == ("a", True), refused.reason
    with pytest.raises(InvalidArgument, match=says):
        uploaded("a", b"A.", "", given, NOW)


@pytest.mark.parametrize("entry", [{}, {"id": ""}, {"id": 5}, {"id": None}, {"text": "A."}])
def test_a_document_without_a_name_is_refused(entry: dict[str, object]) -> None:
    refused = document_of(entry, NOW)
    assert isinstance(refused, retriever_pb2.IngestResponse)
    assert "id" in refused.reason


def test_a_refused_url_is_named_by_itself() -> None:
    refused = document_of({"url": "https://a.example/x", "metadata": 5}, NOW)
    assert isinstance(refused, retriever_pb2.IngestResponse)
    assert refused.document_id == "https://a.example/x"


def test_a_listed_document_says_when_it_expires_where_it_does() -> None:
    message = retriever_pb2.DocumentSummary(document_id="a", chunks=2)
    assert listed(message) == {"id": "a", "chunks": 2}
    message.expire_time.FromMilliseconds(1801396800500)
    assert listed(message)["expire_time"] == "2027-01-31T12:00:00.500Z"


@pytest.mark.parametrize("content", ["é", "a", "a=b", "YQ==\n"])
def test_what_is_no_base64_is_refused(content: str):
    refused = document_of({"id": "a", "content": content}, 0.0)
    assert isinstance(refused, retriever_pb2.IngestResponse)
    assert refused.reason == "content: not base64"
