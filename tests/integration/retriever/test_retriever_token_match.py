"""Tokens matched with any other, with their like only, or not at all."""

from pathlib import Path

import pytest
from tests.integration.retriever.conftest import Client, running

from sluice.common.v1 import common_pb2
from sluice.retriever.v1 import retriever_pb2
from sluice_api.objects.knowledge_base import KnowledgeBaseSpec, TokenVectors
from sluice_api.objects.retrieval import Retrieval, TokenMatch
from sluice_api.snapshot import Snapshot
from sluice_servicekit.errors import InvalidArgument

pytestmark = pytest.mark.asyncio

ANY, EXACT = retriever_pb2.TOKEN_MATCH_ANY, retriever_pb2.TOKEN_MATCH_EXACT

PETS = [
    {"id": "dogs", "text": "Dogs bark."},
    {"id": "canines", "text": "Canines woof."},
]


def _snapshot(*match: TokenMatch, retrieval: TokenMatch | None = None) -> Snapshot:
    spec = KnowledgeBaseSpec(tokens=TokenVectors(match=match), retrieval=Retrieval(token_match=retrieval))
    return Snapshot(knowledge_bases={"default": spec})


async def _token_scores(client: Client, match: "retriever_pb2.TokenMatch | None" = None) -> dict[str, float]:
    """The token leg's scores of the documents."""
    parameters = retriever_pb2.RetrievalParameters(token_match=match) if match else None
    response = await client.search("dogs bark", parameters=parameters)
    return {
        passage.document_id: leg.score
        for passage in response.passages
        for leg in passage.legs
        if leg.leg == "tokens"
    }


async def test_exact_counts_like_tokens_only_and_any_counts_kindred_ones_too(tmp_path: Path) -> None:
    async with running(tmp_path, _snapshot(TokenMatch.ANY, TokenMatch.EXACT)) as client:
        await client.ingest(PETS)

        by_any, by_exact = await _token_scores(client, ANY), await _token_scores(client, EXACT)

        assert by_any["dogs"] > by_any["canines"] > 0.3
        assert by_exact["dogs"] > 0.8
        assert abs(by_exact["canines"]) < 0.05
        assert await _token_scores(client) == by_any


async def test_vectors_made_once_serve_an_exact_search(tmp_path: Path) -> None:
    async with running(tmp_path, _snapshot(TokenMatch.EXACT)) as client:
        await client.ingest(PETS)
        vectors = (await client.stub.Embed(retriever_pb2.EmbedRequest(text="dogs bark"))).question_vectors

        given = await client.search("dogs bark", question_vectors=vectors)
        encoded_here = await client.search("dogs bark")
        del vectors.token_ids[:]
        with pytest.raises(InvalidArgument) as caught:
            await client.search("dogs bark", question_vectors=vectors)

        assert given.passages == encoded_here.passages
        assert caught.value.field == "question_vectors.token_ids"


async def test_what_is_not_stored_is_refused_and_named_until_a_rebuild_stores_it(tmp_path: Path) -> None:
    async with running(tmp_path, _snapshot(TokenMatch.ANY)) as client:
        await client.ingest(PETS)
        with pytest.raises(InvalidArgument) as caught:
            await _token_scores(client, EXACT)
        assert caught.value.reason == "TOKEN_MATCH_NOT_STORED"
        assert "spec.tokens.match" in str(caught.value)
        before = await _token_scores(client)

        # What the knowledge base itself asks for waits for the rebuild, as its other settings do.
        snapshot = _snapshot(TokenMatch.EXACT, retrieval=TokenMatch.EXACT)
        assert await client.snapshots.take(snapshot.digest, snapshot.content) == ""
        assert await _token_scores(client) == before
        request = retriever_pb2.RebuildRequest(
            principal=common_pb2.Principal(tenant="acme", roles=["admin"]), knowledge_base="default"
        )
        assert [step async for step in client.stub.Rebuild(request)][-1].done

        assert abs((await _token_scores(client))["canines"]) < 0.05
        with pytest.raises(InvalidArgument):
            await _token_scores(client, ANY)


async def test_without_stored_tokens_the_other_legs_answer(tmp_path: Path) -> None:
    async with running(tmp_path, _snapshot()) as client:
        await client.ingest(PETS)

        assert await _token_scores(client) == {}
        assert await client.found("dogs bark") == ["dogs", "canines"]
