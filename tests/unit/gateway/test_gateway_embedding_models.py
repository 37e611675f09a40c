"""Which knowledge base's model `/v1/embeddings` means."""

import pytest

from sluice_api.objects.knowledge_base import (
    Embedding,
    KnowledgeBaseSpec,
    OnnxEmbedding,
    OpenAIEmbedding,
    TeiEmbedding,
)
from sluice_gateway.domain.embedding import knowledge_base_of, model_name
from sluice_servicekit.errors import NotFound

ENDPOINT = {"url": "https://models.example/v1", "dimension": 8}
EMBEDDINGS = {
    "plain": (Embedding(), "all-MiniLM-L6-v2"),
    "folder": (Embedding(onnx=OnnxEmbedding(path="/models/bge-small/")), "bge-small"),
    "hosted": (Embedding(open_ai=OpenAIEmbedding(model="org/embed-3", **ENDPOINT)), "org/embed-3"),
    "tei": (Embedding(tei=TeiEmbedding(**ENDPOINT)), ""),
}
KNOWN = {name: KnowledgeBaseSpec(embedding=embedding) for name, (embedding, _) in EMBEDDINGS.items()}


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_a_knowledge_base_is_found_by_its_name_and_by_its_models(name: str):
    embedding, called = EMBEDDINGS[name]
    assert model_name(embedding) == called
    assert knowledge_base_of(name, KNOWN) == name
    if called:
        assert knowledge_base_of(called, KNOWN) == name


def test_a_knowledge_bases_own_name_comes_before_a_models():
    known = {**KNOWN, "bge-small": KnowledgeBaseSpec()}
    assert knowledge_base_of("bge-small", known) == "bge-small"


@pytest.mark.parametrize("model", ["nope", ""])
def test_what_is_neither_is_told_what_there_is(model: str):
    with pytest.raises(
        NotFound, match="all-MiniLM-L6-v2, bge-small, folder, hosted, org/embed-3, plain, tei"
    ) as raised:
        knowledge_base_of(model, KNOWN)
    assert raised.value.reason == "MODEL_NOT_FOUND"
