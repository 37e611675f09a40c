"""What becomes of documents: stored, unchanged, replaced, refused, deleted."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from prometheus_client import REGISTRY

from sluice.retriever.v1 import retriever_pb2
from sluice_retriever.store.reading import SLICE_CHUNKS
from sluice_servicekit.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from tests.integration.retriever.conftest import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")

STORED = retriever_pb2.INGEST_OUTCOME_STORED
UNCHANGED = retriever_pb2.INGEST_OUTCOME_UNCHANGED
REFUSED = retriever_pb2.INGEST_OUTCOME_REFUSED

SENTENCES = [f"Sentence number {number} speaks of something that matters to nobody." for number in range(400)]


async def test_a_document_is_found_once_it_is_acknowledged(client: "Client") -> None:
    [reply] = await client.ingest([{"id": "a", "text": "Otters hold hands while they sleep."}])

    assert (reply.document_id, reply.outcome, reply.chunks) == ("a", STORED, 1)
    assert await client.found("how do otters sleep?") == ["a"]
    assert await client.usage() == (1, 1)


async def test_replies_come_in_order_and_a_refused_document_harms_no_other(client: "Client") -> None:
    replies = await client.ingest(
        [
            {"id": "a", "text": "First."},
            {"id": "", "text": "No id."},
            {"id": "b", "text": ""},
            {"id": "c", "text": "Third.", "metadata_json": "[]"},
            {"id": "d", "text": "Fourth.", "media_type": "application/pdf"},
            {"id": "e", "text": "---", "media_type": "text/markdown"},
            {"id": "f", "text": "Sixth."},
        ]
    )

    assert [(reply.document_id, reply.outcome) for reply in replies] == [
        ("a", STORED),
        ("", REFUSED),
        ("b", REFUSED),
        ("c", REFUSED),
        ("d", REFUSED),
        ("e", REFUSED),
        ("f", STORED),
    ]
    assert all(bool(reply.reason) == (reply.outcome == REFUSED) for reply in replies)
    assert await client.usage() == (2, 2)


async def test_the_same_document_again_is_unchanged(client: "Client") -> None:
    document = {"id": "a", "text": "Once is enough.", "metadata_json": '{"v": 1}'}
    await client.ingest([document])

    [again] = await client.ingest([document])
    [changed] = await client.ingest([{**document, "metadata_json": '{"v": 2}'}])

    assert (again.outcome, again.chunks) == (UNCHANGED, 1)
    assert changed.outcome == STORED
    assert await client.usage() == (1, 1)


async def test_replacing_a_document_leaves_no_chunk_of_the_old_one(client: "Client") -> None:
    short = replace(client, knowledge_base="short")
    await short.ingest([{"id": "a", "text": " ".join(SENTENCES[:30])}])
    before = await short.usage()

    await short.ingest([{"id": "a", "text": "Only this sentence is left."}])

    assert before[1] >= 10
    assert await short.usage() == (1, 1)
    passages = (await short.search("sentence", top_k=1000)).passages
    assert [passage.text for passage in passages] == ["Only this sentence is left."]


async def test_one_stream_may_name_a_document_twice_and_the_last_counts(client: "Client") -> None:
    first, last = {"id": "a", "text": "First word."}, {"id": "a", "text": "Last word."}

    replies = await client.ingest([first, last, last, first, last])

    assert [reply.outcome for reply in replies] == [STORED, STORED, UNCHANGED, STORED, STORED]
    assert [passage.text for passage in (await client.search("word")).passages] == ["Last word."]


async def test_a_document_of_several_slices_is_stored_whole(client: "Client") -> None:
    short = replace(client, knowledge_base="short")

    replies = await short.ingest(
        [
            {"id": "a", "text": "Small."},
            {"id": "b", "text": " ".join(SENTENCES)},
            {"id": "c", "text": "Tiny."},
        ]
    )

    assert [reply.outcome for reply in replies] == [STORED] * 3
    assert replies[1].chunks > 64 * 2
    passages = (await short.search("sentence number speaks", top_k=1000)).passages
    text = " ".join(passage.text for passage in passages if passage.document_id == "b")
    assert all(sentence in text for sentence in SENTENCES)
    assert await short.usage() == (3, replies[1].chunks + 2)


async def test_written_chunks_come_as_the_passages_that_will_be_found(client: "Client") -> None:
    short = replace(client, knowledge_base="short")
    large = {"id": "large", "title": "Numbers", "text": " ".join(SENTENCES)}
    documents = [large, {"id": "small", "text": "One sentence."}]
    replies = await short.ingest(documents, return_chunks=True)
    again = await short.ingest(documents, return_chunks=True)
    quiet = await client.ingest(documents)

    written = [(chunk.chunk_id, chunk.title, chunk.text) for reply in replies for chunk in reply.written]
    passages = (await short.search("sentence number speaks", top_k=1000)).passages
    found = {(passage.chunk_id, passage.title, passage.text) for passage in passages}
    assert max(len(reply.written) for reply in replies) <= SLICE_CHUNKS < len(written)
    assert found
    assert found <= set(written)
    assert sum(reply.chunks for reply in replies if reply.outcome == STORED) == len(written)
    assert [len(reply.written) for reply in (*again, *quiet)] == [0] * 4


async def test_two_streams_of_one_document_leave_one_of_its_versions(client: "Client") -> None:
    short = replace(client, knowledge_base="short")
    versions = [" ".join(f"Version {name} of sentence {i}." for i in range(20)) for name in "ABCD"]

    replies = await asyncio.gather(*(short.ingest([{"id": "a", "text": text}]) for text in versions))

    passages = (await short.search("version of sentence", top_k=1000)).passages
    assert [reply.outcome for [reply] in replies] == [STORED] * 4
    assert len({passage.text.split()[1] for passage in passages}) == 1
    assert await short.usage() == (1, len(passages))


async def test_a_reply_does_not_wait_for_later_documents(client: "Client") -> None:
    go_on = asyncio.Event()

    async def requests() -> AsyncIterator[retriever_pb2.IngestRequest]:
        for name in ("a", "b"):
            document = retriever_pb2.Document(id=name, text=f"Document {name}.")
            yield retriever_pb2.IngestRequest(
                principal=client.principal, knowledge_base="default", document=document
            )
            await go_on.wait()

    replies = client.stub.Ingest(requests())
    first = await asyncio.wait_for(anext(replies), 10)
    go_on.set()

    assert first.document_id == "a"
    assert [reply.document_id async for reply in replies] == ["b"]


async def test_a_client_that_leaves_halfway_leaves_nothing_behind(client: "Client") -> None:
    short = replace(client, knowledge_base="short")
    text = " ".join(SENTENCES * 20)  # takes many times as long as the client waits

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(short.ingest([{"id": "a", "text": text}]), 0.7)

    assert await short.usage() == (0, 0)
    assert await short.found("sentence number") == []
    [reply] = await short.ingest([{"id": "a", "text": "Whole."}])
    assert reply.outcome == STORED


async def test_deleted_documents_are_gone_and_unknown_ones_do_not_count(client: "Client") -> None:
    await client.ingest([{"id": name, "text": f"Document {name}."} for name in "abc"])

    request = retriever_pb2.DeleteDocumentsRequest(
        principal=client.principal, knowledge_base="default", document_ids=["a", "c", "x"]
    )
    deleted = (await client.stub.DeleteDocuments(request)).deleted

    assert deleted == 2
    assert await client.found("document") == ["b"]
    assert await client.usage() == (1, 1)


async def test_ids_of_any_script_and_shape_come_back_as_they_were(client: "Client") -> None:
    ids = ["日本/語", "a\x00b", "' OR 1=1 --", "x" * 512, "é", "e\u0301", "🦦"]

    replies = await client.ingest([{"id": name, "text": f"Text {i}."} for i, name in enumerate(ids)])

    assert [reply.outcome for reply in replies] == [STORED] * len(ids)
    assert sorted(await client.found("text")) == sorted(ids)


async def test_an_unknown_knowledge_base_is_not_found(client: "Client") -> None:
    elsewhere = replace(client, knowledge_base="nowhere")

    for call in (elsewhere.ingest([{"id": "a", "text": "A."}]), elsewhere.search("a"), elsewhere.usage()):
        with pytest.raises(NotFound) as caught:
            await call
        assert caught.value.reason == "KNOWLEDGE_BASE_NOT_FOUND"


async def test_nobody_acts_without_a_tenant(client: "Client") -> None:
    nobody = replace(client, tenant="")

    for call in (nobody.ingest([{"id": "a", "text": "A."}]), nobody.search("a"), nobody.usage()):
        with pytest.raises(InvalidArgument) as caught:
            await call
        assert caught.value.field == "principal.tenant"


async def test_too_many_deletions_at_once_are_refused(client: "Client") -> None:
    request = retriever_pb2.DeleteDocumentsRequest(
        principal=client.principal, knowledge_base="default", document_ids=map(str, range(1001))
    )

    with pytest.raises(InvalidArgument) as caught:
        await client.stub.DeleteDocuments(request)
    assert caught.value.field == "document_ids"


async def test_only_what_changed_in_a_document_is_encoded_again(client: "Client") -> None:
    short = replace(client, knowledge_base="short")
    sentences = [f"Sentence number {number} speaks of the otter of day {number}." for number in range(40)]
    await short.ingest([{"id": "a", "text": " ".join(sentences)}])
    before = {passage.text: passage for passage in (await short.search("otter", top_k=100)).passages}
    encoded = chunks_encoded()

    await short.ingest([{"id": "a", "text": " ".join([*sentences, "And at last there is a badger too."])}])

    after = {passage.text: passage for passage in (await short.search("otter", top_k=100)).passages}
    assert chunks_encoded() - encoded == len(after.keys() - before.keys()) == 1
    assert len(before.keys() & after.keys()) >= len(before) - 1
    for text in before.keys() & after.keys():
        assert after[text].sentences == before[text].sentences
    assert (await short.found("badger"))[0] == "a"


def chunks_encoded() -> float:
    return (
        REGISTRY.get_sample_value("sluice_retriever_chunks_encoded_total", {"knowledge_base": "short"}) or 0.0
    )
