"""What a caller may ask of a search: which candidates come back, what is joined to them, and where to look."""

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from sluice.retriever.v1 import retriever_pb2
from sluice_servicekit.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from tests.integration.retriever.conftest import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")

Parameters = retriever_pb2.RetrievalParameters

PLANETS = ["Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune"]


def _long(subject: str, sections: int = 1) -> dict[str, object]:
    """A document of which `short` makes one chunk a sentence."""
    lines = [
        ("## Part\n\n" if index % (len(PLANETS) // sections) == 0 and sections > 1 else "")
        + f"The {subject} near {planet} was painted in a rather unusual colour, which visitors noticed at once"
        f" when they came by on the morning ferry in the year {1900 + index}."
        for index, planet in enumerate(PLANETS)
    ]
    if sections > 1:
        lines = [line.replace("Part", f"Part {number}") for number, line in enumerate(lines)]
    return {"id": subject, "text": "\n\n".join(lines), "media_type": "text/markdown"}


@pytest_asyncio.fixture(loop_scope="module")
async def short(client: "Client") -> "Client":
    """Three documents of eight chunks each."""
    short = replace(client, knowledge_base="short")
    await short.ingest([_long("lighthouse"), _long("boathouse"), _long("tollhouse")])
    return short


QUERY = "the lighthouse near Mars"


async def test_a_document_gets_no_more_than_its_share(short: "Client") -> None:
    free = await short.search(QUERY, top_k=6)
    capped = await short.search(QUERY, top_k=6, parameters=Parameters(max_per_document=2))

    assert Counter(passage.document_id for passage in free.passages).most_common(1)[0][1] > 2
    assert Counter(passage.document_id for passage in capped.passages) == {
        "lighthouse": 2,
        "boathouse": 2,
        "tollhouse": 2,
    }
    assert free.passages[0] == capped.passages[0]


async def test_a_cap_looks_further_where_the_first_candidates_are_of_one_document(short: "Client") -> None:
    found = await short.search(
        "lighthouse",
        top_k=3,
        explain=True,
        parameters=Parameters(max_per_document=1, leg_limit=3, token_match="TOKEN_MATCH_OFF"),
    )

    assert {passage.document_id for passage in found.passages} == {"lighthouse", "boathouse", "tollhouse"}
    [explanation] = found.explanations
    assert json.loads(explanation.parameters_json)["leg_limit"] > 3


async def test_what_is_not_similar_enough_is_dropped(short: "Client") -> None:
    everything = (await short.search(QUERY, top_k=24)).passages
    best = [max(sentence.similarity for sentence in passage.sentences) for passage in everything]
    threshold = sorted(best)[12]

    kept = (await short.search(QUERY, top_k=24, parameters=Parameters(min_similarity=threshold))).passages

    assert [p.chunk_id for p in kept] == [
        p.chunk_id for p, similarity in zip(everything, best, strict=True) if similarity >= threshold
    ]
    assert not (await short.search(QUERY, parameters=Parameters(min_similarity=1.0))).passages


async def test_diversity_puts_what_differs_before_more_of_the_same(client: "Client") -> None:
    text = "The harbour museum opens at nine in the morning."
    await client.ingest(
        [
            *({"id": f"copy-{index}", "text": text} for index in range(3)),
            {"id": "other", "text": "The harbour museum is run by three volunteers and a cat."},
        ]
    )
    query = "When does the harbour museum open in the morning?"

    plain = await client.found(query, top_k=2)
    diverse = await client.found(query, top_k=2, parameters=Parameters(diversity=0.9))

    assert all(document.startswith("copy") for document in plain)
    assert diverse[0].startswith("copy")
    assert diverse[1] == "other"


async def test_no_diversity_and_no_conditions_change_nothing(short: "Client") -> None:
    plain = await short.search(QUERY)
    asked = await short.search(
        QUERY, parameters=Parameters(diversity=0.0, max_per_document=0, min_similarity=-1.0, neighbours=0)
    )
    assert asked.passages == plain.passages


async def test_neighbours_are_joined_to_the_chunk_that_was_found(short: "Client") -> None:
    [plain] = (await short.search(QUERY, top_k=1)).passages
    [joined] = (await short.search(QUERY, top_k=1, parameters=Parameters(neighbours=1))).passages

    assert "Mars" in plain.text
    assert (joined.chunk_id, joined.score, joined.legs) == (plain.chunk_id, plain.score, plain.legs)
    cited = [joined.text[each.span.start : each.span.end] for each in joined.sentences]
    assert [planet for planet in PLANETS if planet in joined.text] == ["Earth", "Mars", "Jupiter"]
    assert [next(planet for planet in PLANETS if planet in text) for text in cited] == [
        "Earth",
        "Mars",
        "Jupiter",
    ]
    assert all(text.startswith("The lighthouse") and text.endswith(".") for text in cited)
    [similarity] = [each.similarity for each in plain.sentences]
    assert joined.sentences[1].similarity == pytest.approx(similarity)
    assert max(each.similarity for each in joined.sentences) == pytest.approx(similarity)


async def test_hits_that_grow_into_each_other_become_one(short: "Client") -> None:
    found = (
        await short.search(QUERY, top_k=8, parameters=Parameters(neighbours=2, max_per_document=8))
    ).passages
    sentences = [p.text[s.span.start : s.span.end] for p in found for s in p.sentences]
    assert len(sentences) == len(set(sentences))
    assert len(found) < 8


async def test_a_chunk_grows_to_its_section_or_its_document(client: "Client") -> None:
    short = replace(client, knowledge_base="short")
    await short.ingest([_long("lighthouse", sections=2)])

    parameters = Parameters(parent=retriever_pb2.PARENT_SECTION)
    [section] = (await short.search(QUERY, top_k=1, parameters=parameters)).passages
    parameters = Parameters(parent=retriever_pb2.PARENT_DOCUMENT)
    [document] = (await short.search(QUERY, top_k=1, parameters=parameters)).passages

    assert [planet for planet in PLANETS if planet in section.text] == PLANETS[:4]
    assert [planet for planet in PLANETS if planet in document.text] == PLANETS
    assert "\n\nPart 4\n" in document.text


async def test_what_replaces_a_document_is_what_grows(short: "Client") -> None:
    text = str(_long("lighthouse")["text"]).replace("Earth", "Ceres")
    await short.ingest([{"id": "lighthouse", "text": text, "media_type": "text/markdown"}])

    [joined] = (await short.search(QUERY, top_k=1, parameters=Parameters(neighbours=1))).passages

    assert "Ceres" in joined.text
    assert "Earth" not in joined.text


async def test_an_explanation_says_how_it_was_searched(short: "Client") -> None:
    found = await short.search(QUERY, explain=True, parameters=Parameters(fusion={"k": 61}))

    [explanation] = found.explanations
    assert explanation.knowledge_base == "short"
    assert explanation.candidates["dense"] == explanation.candidates["tokens"] == 24
    parameters = json.loads(explanation.parameters_json)
    assert parameters["fusion"] == {"k": 61, "dense": 1.0, "sparse": 1.0, "tokens": 1.0, "keyword": 0.5}
    assert parameters["keyword_timeout"] == "150ms"
    assert explanation.model_digest == found.question_vectors.model_digest
    assert explanation.generation == "g000001"
    assert not (await short.search(QUERY)).explanations


async def test_several_knowledge_bases_are_ranked_together(client: "Client") -> None:
    short = replace(client, knowledge_base="short")
    await client.ingest([{"id": "bee", "text": "Bees dance to tell where flowers are."}])
    await short.ingest([{"id": "crow", "text": "Crows use sticks as tools."}])
    vectors = (
        await client.stub.Embed(retriever_pb2.EmbedRequest(text="Which bird uses tools?"))
    ).question_vectors

    found = await client.search(
        "Which bird uses tools?",
        more_knowledge_bases=["short", "default"],
        explain=True,
        question_vectors=vectors,
    )

    assert [(p.document_id, p.knowledge_base) for p in found.passages] == [
        ("crow", "short"),
        ("bee", "default"),
    ]
    assert found.passages[0].score > found.passages[1].score
    assert [explanation.knowledge_base for explanation in found.explanations] == ["default", "short"]
    assert len((await client.search("bird", top_k=1, more_knowledge_bases=["short"])).passages) == 1


async def test_an_unknown_knowledge_base_among_several_is_refused(client: "Client") -> None:
    with pytest.raises(NotFound):
        await client.search("x", more_knowledge_bases=["nope"])


async def test_a_word_that_this_version_does_not_know_is_refused(client: "Client") -> None:
    with pytest.raises(InvalidArgument) as caught:
        await client.search("x", parameters=Parameters(parent=9))
    assert caught.value.field == "parameters.parent"


async def test_neighbours_are_of_the_readers_own_tenant_only(short: "Client") -> None:
    other = replace(short, tenant="another-tenant")
    await other.ingest([{**_long("lighthouse"), "text": "Secret."}])

    found = (await short.search(QUERY, parameters=Parameters(parent=retriever_pb2.PARENT_DOCUMENT))).passages

    assert not any("Secret" in passage.text for passage in found)
