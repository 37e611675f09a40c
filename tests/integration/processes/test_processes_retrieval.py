"""What a caller may ask of a retrieval: parameters, several knowledge bases, explanations."""

import json
import shutil
from collections.abc import Iterator

import grpc
import openai
import pytest

from sluice.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from support import handbook
from support.running import QUICKSTART, Running, running, sluice

pytestmark = pytest.mark.processes

QUERY = "Where is the Dunmore loom made?"

WRONG = [
    ({"max_per_document": -1}, "retrieval.max_per_document"),
    ({"max_per_document": "2"}, "retrieval.max_per_document"),
    ({"maxPerDocument": 2}, "retrieval.maxPerDocument"),
    ({"fusion": {"k": 0}}, "retrieval.fusion.k"),
    ({"token_match": "fuzzy"}, "retrieval.token_match"),
    ({"keyword_timeout": 150}, "retrieval.keyword_timeout"),
    ("all", "retrieval"),
]


@pytest.mark.parametrize(("retrieval", "path"), WRONG)
def test_a_wrong_parameter_is_named_by_its_path(up: Running, retrieval: object, path: str):
    with up.http() as http:
        reply = http.post("/v1/search", json={"query": QUERY, "retrieval": retrieval})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, path), reply.text
    with pytest.raises(openai.BadRequestError) as raised:
        up.openai().chat.completions.create(
            model="default",
            messages=[{"role": "user", "content": QUERY}],
            extra_body={"retrieval": retrieval},
        )
    assert raised.value.param == path


def test_parameters_reach_the_search(up: Running):
    with up.http() as http:
        body = {
            "query": QUERY,
            "explain": True,
            "retrieval": {"fusion": {"dense": 0, "sparse": 1, "tokens": 0}},
        }
        by_words = http.post("/v1/search", json=body).json()["hits"]
        plain = http.post("/v1/search", json={"query": QUERY}).json()["hits"]
    assert by_words[0]["document_id"] == "handbook/loom.md"
    assert by_words[0]["score"] == pytest.approx(0.5)
    legs = {leg["leg"]: leg for hit in by_words for leg in hit["legs"] if leg["rank"] == 0}
    assert legs.keys() == {"dense", "sparse", "tokens"}
    assert all(leg["score"] > 0 for leg in legs.values())
    assert all("legs" not in hit for hit in plain)
    assert {hit["knowledge_base"] for hit in plain} == {"default"}


def test_parameters_of_a_question_reach_the_search(up: Running):
    question = handbook.questions()[0]
    answer = up.openai().chat.completions.create(
        model="default",
        messages=[{"role": "user", "content": question.text}],
        extra_body={"retrieval": {"fusion": {"dense": 0, "tokens": 0}}},
    )
    assert question.expected in answer.choices[0].message.content
    steps = {step["name"]: step for step in up.run(answer.model_extra["sluice"]["run_id"])["steps"]}
    detail = steps["retrieve"]["detail"]
    assert detail["legs"]["sparse"] == detail["passages"]  # without weight the other legs add no candidates


def test_grpc_takes_the_same_parameters(up: Running):
    search = gateway_pb2.SearchRequest(knowledge_base="default", query=QUERY, top_k=3)
    search.retrieval.fusion.dense = search.retrieval.fusion.tokens = 0
    with grpc.insecure_channel(up.record["grpc_address"]) as channel:
        stub = gateway_pb2_grpc.GatewayServiceStub(channel)
        assert stub.Search(search).passages[0].score == pytest.approx(0.5)
        search.retrieval.max_per_document = 2000
        with pytest.raises(grpc.RpcError) as raised:
            stub.Search(search)
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "retrieval.max_per_document" in raised.value.details()
        search = gateway_pb2.SearchRequest(
            knowledge_base="default", more_knowledge_bases=["nope"], query=QUERY, top_k=3
        )
        with pytest.raises(grpc.RpcError) as raised:
            stub.Search(search)
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_command_line_passes_parameters_and_shows_legs(up: Running):
    told = ("--url", up.url, "--retrieval", "fusion.k=61", "--no-rerank")
    found = sluice("search", QUERY, *told, "--explain")
    assert found.returncode == 0, found.stderr
    assert "#1" in found.stdout
    assert "tokens" in found.stdout
    hits = json.loads(sluice("search", QUERY, *told, "--json").stdout)["hits"]
    assert hits[0]["score"] < 0.06
    wrong = sluice("search", QUERY, "--url", up.url, "--token-match", "fuzzy")
    assert (wrong.returncode, "retrieval.token_match" in wrong.stderr) == (2, True)
    wrong = sluice("ask", QUERY, "--url", up.url, "--retrieval", "diversity=2")
    assert (wrong.returncode, "retrieval.diversity" in wrong.stderr) == (2, True)


PRESS = """
apiVersion: sluice.dev/v1alpha1
kind: KnowledgeBase
metadata: {name: press}
spec:
  retrieval: {neighbours: 1}
---
apiVersion: sluice.dev/v1alpha1
kind: Pipeline
metadata: {name: both}
spec:
  knowledgeBaseRef: default
  moreKnowledgeBaseRefs: [press]
  guardrailPolicyRef: default
  steps:
    generate: {modelServerRef: extractive}
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A knowledge base beside the handbook's, and a pipeline that looks in both."""
    folder = tmp_path_factory.mktemp("two")
    shutil.copytree(QUICKSTART, folder / "objects")
    (folder / "objects" / "press.yaml").write_text(PRESS)
    with running(folder / "data", "-f", str(folder / "objects")) as two:
        two.ingest(handbook.documents())
        with two.http() as http:
            documents = [{"id": "news.md", "text": "The Errigal kite broke its record in Bergen."}]
            http.post("/v1/knowledge/press/documents", json={"documents": documents}).raise_for_status()
        yield two


def test_pipeline_answers_from_all_its_knowledge_bases(two: Running):
    for text, expected in [("Where did the Errigal kite break its record?", "Bergen"), (QUERY, "Ghent")]:
        answer = two.openai().chat.completions.create(
            model="both", messages=[{"role": "user", "content": text}]
        )
        assert expected in answer.choices[0].message.content
    answer = two.openai().chat.completions.create(
        model="both", messages=[{"role": "user", "content": "Where did the Errigal kite break its record?"}]
    )
    annotation = answer.choices[0].message.annotations[0].url_citation
    assert annotation.url == "sluice://press/news.md"


def test_search_explains_each_knowledge_base(two: Running):
    body = {
        "query": "the record of the Errigal kite",
        "knowledge_bases": ["default", "press"],
        "explain": True,
    }
    with two.http() as http:
        for rerank in (False, True):
            reply = http.post("/v1/search", json={**body, "rerank": rerank}).raise_for_status().json()
            assert (reply["hits"][0]["knowledge_base"], reply["hits"][0]["document_id"]) == (
                "press",
                "news.md",
            )
            assert "degraded" not in reply
        first, second = reply["explanations"]
        assert (first["knowledge_base"], second["knowledge_base"]) == ("default", "press")
        assert (first["parameters"]["neighbours"], second["parameters"]["neighbours"]) == (0, 1)
        assert first["candidates"]["dense"] > second["candidates"]["dense"] == 1
        assert first["generation"] == "g000001"
        overridden = http.post("/v1/search", json={**body, "retrieval": {"neighbours": 0}}).json()
        assert overridden["explanations"][1]["parameters"]["neighbours"] == 0
    both = sluice("search", "kite", "--kb", "default", "--kb", "press", "--explain", "--url", two.url)
    assert both.returncode == 0, both.stderr
    assert " kb " in both.stdout
    assert "neighbours=1" in both.stdout


def test_cap_spreads_over_documents(up: Running):
    with up.http() as http:
        body = {"query": "Where is it made?", "top_k": 4, "retrieval": {"max_per_document": 1}}
        hits = http.post("/v1/search", json=body).raise_for_status().json()["hits"]
    assert len({hit["document_id"] for hit in hits}) == len(hits) == 4
