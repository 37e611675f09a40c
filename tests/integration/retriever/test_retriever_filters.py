"""The filters that docs/filters.md shows, asked of a real retriever, and what declared fields refuse."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
import yaml
from tests.integration.retriever.conftest import running

from sluice.retriever.v1 import retriever_pb2
from sluice_api.objects.knowledge_base import KnowledgeBaseSpec
from sluice_api.snapshot import Snapshot
from sluice_gateway.domain.filters import read
from sluice_gateway.filter_conversion import filter_message
from sluice_servicekit.errors import InvalidArgument

if TYPE_CHECKING:
    from tests.integration.retriever.conftest import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = (Path(__file__).parents[3] / "docs" / "filters.md").read_text()
FIELDS = yaml.safe_load(re.search(r"```yaml\n(.*?)```", PAGE, re.S)[1])["fields"]
DOCUMENTS: dict[str, Any] = json.loads(re.search(r"```json\n(.*?)```", PAGE, re.S)[1])
EXAMPLES = re.findall(r"^\| `(\{.*\})` \| ([a-z, ]+) \|$", PAGE, re.M)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shelf(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator["Client"]:
    """A knowledge base that declares the page's fields and holds its documents; `open` declares none."""
    spec = KnowledgeBaseSpec.model_validate({"fields": FIELDS})
    snapshot = Snapshot(knowledge_bases={"default": spec, "open": KnowledgeBaseSpec()})
    async with running(tmp_path_factory.mktemp("shelf"), snapshot) as client:
        for base in ("default", "open"):
            stored = await replace(client, knowledge_base=base).ingest(
                {"id": name, "text": f"The {name}.", "metadata_json": json.dumps(metadata)}
                for name, metadata in DOCUMENTS.items()
            )
            assert {each.reason for each in stored} == {""}
        yield client


def asked(content: Any) -> retriever_pb2.Filter:
    return filter_message(read(content))


@pytest.mark.parametrize("base", ["default", "open"])
@pytest.mark.parametrize(("filter_", "passes"), EXAMPLES)
async def test_the_page_is_right(shelf: "Client", base: str, filter_: str, passes: str) -> None:
    client = replace(shelf, knowledge_base=base)
    found = await client.found("things", filter=asked(json.loads(filter_)))
    assert sorted(found) == ([] if passes == "none" else passes.split(", "))


async def test_the_page_has_its_examples() -> None:
    assert len(EXAMPLES) >= 25


@pytest.mark.parametrize(
    ("content", "reason", "field"),
    [
        ({"and": [{"land": "de"}]}, "UNKNOWN_FIELD", "filter.and[0].land"),
        ({"lang": {"gt": 3}}, "FIELD_TYPE", "filter.lang"),
        ({"price": 12}, "FIELD_TYPE", "filter.price"),
        ({"or": [{"field": "summary", "eq": "x"}]}, "FIELD_TYPE", "filter.or[0].eq"),
        ({"published": {"ne": "2024-03-01"}}, "FIELD_TYPE", "filter.published.ne"),
    ],
)
async def test_what_is_not_declared_is_refused_where_it_was_written(
    shelf: "Client", content: Any, reason: str, field: str
) -> None:
    with pytest.raises(InvalidArgument) as raised:
        await shelf.search("things", filter=asked(content))
    assert (raised.value.reason, raised.value.field) == (reason, field)


async def test_a_document_of_another_type_is_refused_alone(shelf: "Client") -> None:
    client = replace(shelf, tenant="others")
    results = await client.ingest(
        [
            {"id": "right", "text": "Right.", "metadata_json": '{"year": 2020, "shelf": "any"}'},
            {"id": "wrong", "text": "Wrong.", "metadata_json": '{"year": "2020"}'},
        ]
    )
    outcomes = [
        (each.document_id, retriever_pb2.IngestOutcome.Name(each.outcome), each.reason) for each in results
    ]
    assert outcomes == [
        ("right", "INGEST_OUTCOME_STORED", ""),
        ("wrong", "INGEST_OUTCOME_REFUSED", "metadata field 'year' is '2020', and not a whole number"),
    ]


RULES = {"self_query": retriever_pb2.SELF_QUERY_RULES}


async def test_a_question_restricts_itself_where_that_is_asked_for(shelf: "Client") -> None:
    question = "Which things published since 2024 are there?"

    assert set(await shelf.found(question)) == set(DOCUMENTS)
    response = await shelf.search(question, parameters=RULES, explain=True)

    assert {passage.document_id for passage in response.passages} == {"guide"}
    [explained] = response.explanations
    assert list(explained.self_query_phrases) == ["published since 2024"]
    assert json.loads(explained.self_query_filter_json) == {
        "must": [{"field": "published", "gte": "2024-01-01T00:00:00Z"}]
    }


async def test_a_question_adds_to_the_callers_filter_and_leaves_its_fields_alone(shelf: "Client") -> None:
    question = "Which things published since 2024 with a price under 20 are there?"
    by_year = asked({"published": {"lt": "2024-01-01"}})

    assert await shelf.found(question, parameters=RULES, filter=asked({"lang": "de"})) == []
    assert await shelf.found(question, parameters=RULES, filter=by_year) == []
    assert await shelf.found(question.replace("20 ", "50 "), parameters=RULES, filter=by_year) == ["atlas"]


async def test_nothing_is_read_where_no_field_is_declared(shelf: "Client") -> None:
    client = replace(shelf, knowledge_base="open")
    assert len(await client.found("Which things published since 2024 are there?", parameters=RULES)) == 4
