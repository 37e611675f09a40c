"""`/v1/embeddings` by the real model: the vectors that a question is looked for with."""

import grpc
import pytest

from sluice.common.v1 import common_pb2  # noqa: F401 - registers what retriever_pb2 refers to
from sluice.retriever.v1 import retriever_pb2, retriever_pb2_grpc
from support.running import Running

pytestmark = pytest.mark.processes

TEXTS = [
    "How long does the first kiln take?",
    "For how many hours is the kiln held?",
    "Galway is in Ireland.",
]


def test_vectors_are_the_knowledge_bases(up: Running):
    found = up.openai().embeddings.create(model="default", input=TEXTS)
    vectors = [each.embedding for each in found.data]
    with grpc.insecure_channel(up.child("retriever")["address"]) as channel:
        stub = retriever_pb2_grpc.RetrieverServiceStub(channel)
        request = retriever_pb2.EmbedRequest(text=TEXTS[0], knowledge_base="default", dense_only=True)
        question = stub.Embed(request).question_vectors.dense
    assert _like(vectors[0], question) == pytest.approx(1.0, abs=0.01)
    assert _like(vectors[0], vectors[1]) > 0.5 > _like(vectors[0], vectors[2])
    assert found.usage.prompt_tokens > 15


def test_completions_answer_from_the_documents(up: Running):
    answer = up.openai().completions.create(model="default", prompt="How long is the kiln held?")
    run = up.run(answer.choices[0].model_extra["sluice"]["run_id"])
    assert [step["name"] for step in run["steps"]][-1] == "guard_output"
    assert answer.usage.completion_tokens > 0


def _like(one, other) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
