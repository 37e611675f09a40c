"""What a search answers, and what it refuses."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from sluice.retriever.v1 import retriever_pb2
from sluice_servicekit.errors import InvalidArgument

if TYPE_CHECKING:
    from tests.integration.retriever.conftest import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANIMALS = [
    {"id": "otter", "text": "Otters hold hands while they sleep. They eat sea urchins."},
    {"id": "bee", "text": "Bees dance to tell where flowers are. The hive remembers."},
    {"id": "crow", "text": "Crows use sticks as tools. They never forget a face."},
    {"id": "salmon", "text": "Salmon return to the river of their birth."},
]

Match = retriever_pb2.Match
Value = retriever_pb2.Value
Condition = retriever_pb2.Condition


def matches(field: str, *values: str | int | bool) -> retriever_pb2.Condition:
    kinds = {str: "string_value", int: "int_value", bool: "bool_value"}
    any_of = [Value(**{kinds[type(value)]: value}) for value in values]
    return Condition(match=Match(field=field, any_of=any_of))


async def test_a_question_in_other_words_finds_its_passage(client: "Client") -> None:
    await client.ingest(ANIMALS)

    assert (await client.found("Which bird works with instruments?"))[0] == "crow"
    assert (await client.found("insects that communicate by moving"))[0] == "bee"


async def test_each_leg_says_where_it_placed_a_passage(client: "Client") -> None:
    await client.ingest(ANIMALS)

    first = (await client.search("Do otters hold hands while they sleep?")).passages[0]

    legs = {leg.leg: leg for leg in first.legs}
    assert first.document_id == "otter"
    assert {name: leg.rank for name, leg in legs.items()} == {"dense": 0, "sparse": 0, "tokens": 0}
    assert 0.5 < legs["dense"].score <= 1
    assert 0.5 < legs["tokens"].score <= 1
    assert first.score == pytest.approx(1.5)


async def test_a_leg_that_did_not_find_a_passage_is_absent(client: "Client") -> None:
    await client.ingest(ANIMALS)

    passages = (await client.search("otters")).passages

    legs = {passage.document_id: {leg.leg for leg in passage.legs} for passage in passages}
    assert legs["otter"] == {"dense", "sparse", "tokens"}
    assert legs["salmon"] == {"dense", "tokens"}


async def test_scores_fall_and_every_leg_ranks_each_place_once(client: "Client") -> None:
    await client.ingest(ANIMALS)

    passages = (await client.search("animals and their habits")).passages

    assert all(before.score >= after.score for before, after in pairwise(passages))
    for name in ("dense", "tokens"):
        ranks = sorted(leg.rank for passage in passages for leg in passage.legs if leg.leg == name)
        assert ranks == list(range(len(passages)))


async def test_the_sentence_that_answers_is_nearest_to_the_question(client: "Client") -> None:
    await client.ingest(ANIMALS)

    crow = (await client.search("Can a crow recognise a face?")).passages[0]

    sentences = {crow.text[s.span.start : s.span.end]: s.similarity for s in crow.sentences}
    assert list(sentences) == ["Crows use sticks as tools.", "They never forget a face."]
    assert sentences["They never forget a face."] > sentences["Crows use sticks as tools."] + 0.1


async def test_spans_count_code_points(client: "Client") -> None:
    await client.ingest([{"id": "a", "text": "🦦🦦 schläft tief. Es regnet heute."}])

    [passage] = (await client.search("Regen")).passages

    assert [passage.text[s.span.start : s.span.end] for s in passage.sentences] == [
        "🦦🦦 schläft tief.",
        "Es regnet heute.",
    ]


async def test_a_passage_carries_its_document_and_headings(client: "Client") -> None:
    metadata = {"lang": "en", "year": 2024, "rate": 0.5, "tags": ["a", "b"], "deep": {"x": None}, "ü": True}
    await client.ingest(
        [
            {
                "id": "guide.md",
                "text": "# Guide\n\n## Install\n\nRun make.",
                "title": "The guide",
                "media_type": "text/markdown",
                "metadata_json": json.dumps(metadata),
            }
        ]
    )

    [passage] = (await client.search("how to install")).passages

    assert passage.title == "The guide › Guide › Install"
    assert passage.knowledge_base == "default"
    assert passage.text == "Run make."
    assert json.loads(passage.metadata_json) == metadata


async def test_vectors_made_once_serve_the_search(client: "Client") -> None:
    await client.ingest(ANIMALS)
    query = "Where do salmon go?"
    embedded = await client.stub.Embed(retriever_pb2.EmbedRequest(text=query))

    given = await client.search(query, question_vectors=embedded.question_vectors)
    encoded_here = await client.search(query)

    assert [p.chunk_id for p in given.passages] == [p.chunk_id for p in encoded_here.passages]
    assert given.question_vectors == embedded.question_vectors
    assert given.timings_ms["embed"] < encoded_here.timings_ms["embed"]
    assert given.timings_ms["query"] > 0


async def test_without_token_vectors_two_legs_answer(client: "Client") -> None:
    await client.ingest(ANIMALS)
    query = "salmon river"
    embedded = await client.stub.Embed(retriever_pb2.EmbedRequest(text=query, dense_only=True))

    first = (await client.search(query, question_vectors=embedded.question_vectors)).passages[0]

    assert embedded.question_vectors.token_count == 0
    assert {leg.leg for leg in first.legs} == {"dense", "sparse"}


async def test_vectors_of_another_model_are_refused(client: "Client") -> None:
    vectors = (await client.stub.Embed(retriever_pb2.EmbedRequest(text="x"))).question_vectors
    vectors.model_digest = "0" * 64

    with pytest.raises(InvalidArgument) as caught:
        await client.search("x", question_vectors=vectors)
    assert caught.value.reason == "MODEL_DIGEST_MISMATCH"


@pytest.mark.parametrize(
    "damage", ["dense cut", "tokens cut", "ids cut", "no such id", "not a number", "other dimension"]
)
async def test_damaged_vectors_are_refused(client: "Client", damage: str) -> None:
    vectors = (await client.stub.Embed(retriever_pb2.EmbedRequest(text="some words"))).question_vectors
    match damage:
        case "dense cut":
            del vectors.dense[-1]
        case "tokens cut":
            del vectors.tokens[-1]
        case "ids cut":
            del vectors.token_ids[-1]
        case "no such id":
            vectors.token_ids[0] = 1 << 16
        case "not a number":
            vectors.dense[0] = float("nan")
        case "other dimension":
            vectors.token_dimension = 64

    with pytest.raises(InvalidArgument) as caught:
        await client.search("x", question_vectors=vectors)
    assert caught.value.field.startswith("question_vectors")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"top_k": 0}, "top_k"),
        ({"top_k": 1001}, "top_k"),
        ({"query": ""}, "query"),
        ({"query": "  \n"}, "query"),
        ({"query": "x" * 40_000}, "query"),
        ({"parameters": {"leg_limit": 1001}}, "parameters.leg_limit"),
        ({"filter": retriever_pb2.Filter(must=[Condition()])}, "filter.must[0]"),
        ({"filter": retriever_pb2.Filter(must=[matches("a")])}, "filter.must[0]"),
        ({"filter": retriever_pb2.Filter(must=[matches("a b\n", 1)])}, "filter.must[0].field"),
        ({"filter": retriever_pb2.Filter(should=[matches("a", 1, "x")])}, "filter.should[0]"),
    ],
)
async def test_a_malformed_search_is_refused_where_it_is_wrong(
    client: "Client", changes: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await client.search(**{"query": "x", **changes})
    assert caught.value.field == field


async def test_an_empty_text_cannot_be_embedded(client: "Client") -> None:
    with pytest.raises(InvalidArgument) as caught:
        await client.stub.Embed(retriever_pb2.EmbedRequest(text=" "))
    assert caught.value.field == "text"


async def test_strange_queries_are_answered(client: "Client") -> None:
    await client.ingest(ANIMALS)

    for query in ("the of and", "🦦", "\x00", "?!", "日本語", "a" * 30_000, "otter " * 5000):
        assert len((await client.search(query, top_k=4)).passages) == 4


async def test_top_k_and_leg_limit_bound_what_comes_back(client: "Client") -> None:
    await client.ingest(ANIMALS)

    assert len((await client.search("animal", top_k=2)).passages) == 2
    assert len((await client.search("animal", top_k=1, parameters={"leg_limit": 1})).passages) == 1
    assert len((await client.search("animal", top_k=1000)).passages) == len(ANIMALS)


BOOKS = [
    {"id": "de-old", "metadata_json": '{"lang": "de", "year": 1990, "shop": {"in stock": true}}'},
    {"id": "de-new", "metadata_json": '{"lang": "de", "year": 2020, "shop": {"in stock": false}}'},
    {"id": "en-new", "metadata_json": '{"lang": "en", "year": 2021.5, "tags": ["x", "y"]}'},
    {"id": "none"},
]


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        (retriever_pb2.Filter(), {"de-old", "de-new", "en-new", "none"}),
        (retriever_pb2.Filter(must=[matches("lang", "de")]), {"de-old", "de-new"}),
        (retriever_pb2.Filter(must=[matches("lang", "de", "en")]), {"de-old", "de-new", "en-new"}),
        (retriever_pb2.Filter(must_not=[matches("lang", "de")]), {"en-new", "none"}),
        (retriever_pb2.Filter(must=[matches("year", 2020)]), {"de-new"}),
        (retriever_pb2.Filter(must=[matches("shop.in stock", True)]), {"de-old"}),
        (retriever_pb2.Filter(must=[matches("shop.in stock", True, False)]), {"de-old", "de-new"}),
        (retriever_pb2.Filter(must=[matches("tags", "y")]), {"en-new"}),
        (retriever_pb2.Filter(must=[matches("tenant", "x")]), set()),
        (
            retriever_pb2.Filter(must=[Condition(range=retriever_pb2.Range(field="year", gte=2020))]),
            {"de-new", "en-new"},
        ),
        (
            retriever_pb2.Filter(must=[Condition(range=retriever_pb2.Range(field="year", gt=1990, lt=2021))]),
            {"de-new"},
        ),
        (
            retriever_pb2.Filter(
                should=[matches("year", 1990), matches("lang", "en")], must_not=[matches("tags", "x")]
            ),
            {"de-old"},
        ),
        (
            retriever_pb2.Filter(
                must=[
                    matches("lang", "de"),
                    Condition(filter=retriever_pb2.Filter(must_not=[matches("year", 1990)])),
                ]
            ),
            {"de-new"},
        ),
    ],
)
async def test_a_filter_keeps_what_it_says(
    shared: "Client", filter_: retriever_pb2.Filter, expected: set[str]
) -> None:
    library = replace(shared, tenant="library")
    await library.ingest({**book, "text": f"A book called {book['id']}."} for book in BOOKS)

    assert set(await library.found("a book", filter=filter_)) == expected
