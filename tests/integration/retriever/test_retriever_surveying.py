"""What is found out before a search: a filter that the question says, and whether ACORN helps."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from tests.integration.retriever.conftest import running

from sluice.retriever.v1 import retriever_pb2
from sluice_api.objects.knowledge_base import DenseVectors, FieldType, Graph, KnowledgeBaseSpec, MetadataField
from sluice_api.objects.retrieval import Retrieval, SelfQuery
from sluice_api.snapshot import Snapshot
from sluice_retriever.domain import acorn

if TYPE_CHECKING:
    from tests.integration.retriever.conftest import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIELDS = (
    MetadataField(name="year", type=FieldType.INTEGER, aliases=("published",)),
    MetadataField(name="product", type=FieldType.KEYWORD),
)
SPEC = KnowledgeBaseSpec(fields=FIELDS, retrieval=Retrieval(self_query=SelfQuery.RULES))
GRAPH = KnowledgeBaseSpec(fields=FIELDS, dense=DenseVectors(graph=Graph.ON))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shelf(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator["Client"]:
    snapshot = Snapshot(knowledge_bases={"default": SPEC, "graph": GRAPH})
    async with running(tmp_path_factory.mktemp("shelf"), snapshot) as client:
        for base in ("default", "graph"):
            await replace(client, knowledge_base=base).ingest(
                {
                    "id": f"{product} {year}",
                    "text": f"How the {product} of {year} is mounted on a wall.",
                    "metadata_json": json.dumps({"year": year, "product": product}),
                    "acl": ["staff"] if product == "Secret Lamp" else [],
                }
                for year in range(2015, 2025)
                for product in ("Harbour Lamp", "River Lamp", "Secret Lamp")
            )
        yield client


def years(documents: list[str]) -> set[str]:
    return {document.rsplit(" ", 1)[1] for document in documents}


async def explained(client: "Client", query: str, **more: object) -> retriever_pb2.Explanation:
    [explanation] = (await client.search(query, top_k=50, explain=True, **more)).explanations
    return explanation


async def test_a_filter_that_the_question_says_is_applied_and_explained(shelf: "Client") -> None:
    query = "How are lamps mounted that were published since 2022?"

    found = await shelf.found(query, top_k=50)
    explanation = await explained(shelf, query)

    assert years(found) == {"2022", "2023", "2024"}
    assert json.loads(explanation.self_query_filter_json) == {"must": [{"field": "year", "gte": 2022}]}
    assert [*explanation.self_query_phrases] == ["published since 2022"]


async def test_values_are_known_from_what_the_reader_may_see(shelf: "Client") -> None:
    query = "How is the {} mounted?"

    seen = await explained(shelf, query.format("product River Lamp"))
    hidden = await explained(shelf, query.format("product Secret Lamp"))
    staff = await explained(replace(shelf, acl=("staff",)), query.format("product Secret Lamp"))

    assert "River Lamp" in seen.self_query_filter_json
    assert hidden.self_query_filter_json == ""
    assert "Secret Lamp" in staff.self_query_filter_json


async def test_a_request_can_switch_it_off(shelf: "Client") -> None:
    off = retriever_pb2.RetrievalParameters(self_query=retriever_pb2.SELF_QUERY_OFF)

    found = await shelf.found("Lamps published since 2022?", top_k=50, parameters=off)

    assert "2015" in years(found)


async def test_without_a_graph_acorn_has_nothing_to_do(shelf: "Client") -> None:
    explanation = await explained(shelf, "lamps")

    assert (explanation.acorn, explanation.acorn_reason) == (retriever_pb2.ACORN_OFF, acorn.NO_GRAPH)
    assert not explanation.HasField("selectivity")


async def test_on_a_graph_the_filter_s_share_decides(shelf: "Client") -> None:
    graph = replace(shelf, knowledge_base="graph")

    def condition(field: str, value: dict[str, object]) -> retriever_pb2.Condition:
        match = retriever_pb2.Match(field=field, any_of=[retriever_pb2.Value(**value)])
        return retriever_pb2.Condition(match=match)

    both = [condition("product", {"string_value": "River Lamp"}), condition("year", {"int_value": 2020})]
    none = await explained(graph, "lamps")
    two = await explained(graph, "lamps", filter=retriever_pb2.Filter(must=both))
    asked = await explained(
        graph, "lamps", parameters=retriever_pb2.RetrievalParameters(acorn=retriever_pb2.ACORN_ON)
    )

    assert none.acorn_reason == acorn.TENANT_ONLY
    assert (two.acorn, two.acorn_reason) == (retriever_pb2.ACORN_ON, acorn.CONJUNCTION)
    assert 0.02 < two.selectivity < 0.1
    assert (asked.acorn, asked.acorn_reason) == (retriever_pb2.ACORN_ON, acorn.ASKED)
