"""Nobody sees another tenant's documents, or one that their permissions do not name."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.retriever.v1 import retriever_pb2
from support.tenants import tenants

if TYPE_CHECKING:
    from tests.integration.retriever.conftest import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "The launch code is 4711."


async def test_two_tenants_may_use_the_same_ids_without_seeing_each_other(client: "Client") -> None:
    other = replace(client, tenant=client.tenant + "-other")
    await client.ingest([{"id": "a", "text": "Our launch code is 1234."}])
    await other.ingest([{"id": "a", "text": SECRET}])

    ours = (await client.search("launch code", top_k=1000)).passages
    theirs = (await other.search("launch code", top_k=1000)).passages

    assert [passage.text for passage in ours] == ["Our launch code is 1234."]
    assert [passage.text for passage in theirs] == [SECRET]
    assert await client.usage() == await other.usage() == (1, 1)


async def test_deleting_reaches_the_own_document_only(client: "Client") -> None:
    other = replace(client, tenant=client.tenant + "-other")
    await other.ingest([{"id": "a", "text": SECRET}])

    request = retriever_pb2.DeleteDocumentsRequest(
        principal=client.principal, knowledge_base="default", document_ids=["a"]
    )
    deleted = (await client.stub.DeleteDocuments(request)).deleted

    assert deleted == 0
    assert await other.found("launch code") == ["a"]


FIELDS = st.sampled_from(["tenant", "acl", "document", "write", "metadata.tenant", "x", "tenant.x"])
VALUES = st.sampled_from(["victim", "attacker", "staff", "", "x"])
CONDITIONS = st.recursive(
    st.builds(
        lambda field, values: retriever_pb2.Condition(
            match=retriever_pb2.Match(
                field=field, any_of=[retriever_pb2.Value(string_value=value) for value in values]
            )
        ),
        FIELDS,
        st.lists(VALUES, min_size=1, max_size=3),
    ),
    lambda inner: st.builds(
        lambda must, should, must_not: retriever_pb2.Condition(
            filter=retriever_pb2.Filter(must=must, should=should, must_not=must_not)
        ),
        *(st.lists(inner, max_size=2),) * 3,
    ),
    max_leaves=4,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(must=st.lists(CONDITIONS, max_size=2), must_not=st.lists(CONDITIONS, max_size=2))
async def test_no_filter_opens_a_way_to_another_tenant(
    shared: "Client", must: list[retriever_pb2.Condition], must_not: list[retriever_pb2.Condition]
) -> None:
    victim, attacker = replace(shared, tenant="victim"), replace(shared, tenant="attacker")
    await victim.ingest([{"id": "v", "text": SECRET, "metadata_json": '{"tenant": "attacker"}'}])
    await attacker.ingest([{"id": "a", "text": "We know no code."}])

    filter_ = retriever_pb2.Filter(should=must, must_not=must_not)
    response = await attacker.search("launch code", top_k=1000, filter=filter_)

    assert {passage.document_id for passage in response.passages} <= {"a"}


@pytest.mark.parametrize(
    ("acl", "expected"),
    [
        ((), {"open"}),
        (("staff",), {"open", "staff", "both"}),
        (("board",), {"open", "board", "both"}),
        (("staff", "board"), {"open", "staff", "board", "both"}),
        (("STAFF", "sta", ""), {"open"}),
    ],
)
async def test_a_document_is_seen_by_those_its_acl_names(
    shared: "Client", acl: tuple[str, ...], expected: set[str]
) -> None:
    writer = replace(shared, tenant="company")
    await writer.ingest(
        [
            {"id": "open", "text": "Minutes for all."},
            {"id": "staff", "text": "Minutes for staff.", "acl": ["staff"]},
            {"id": "board", "text": "Minutes for the board.", "acl": ["board"]},
            {"id": "both", "text": "Minutes for both.", "acl": ["staff", "board"]},
        ]
    )

    assert set(await replace(writer, acl=acl).found("minutes")) == expected


async def test_another_tenants_words_do_not_shift_the_sparse_scores(client: "Client") -> None:
    await client.ingest([{"id": "a", "text": "Heliotrope blooms."}, {"id": "b", "text": "Roses bloom."}])

    async def sparse_scores() -> dict[str, float]:
        passages = (await client.search("heliotrope roses")).passages
        return {p.document_id: leg.score for p in passages for leg in p.legs if leg.leg == "sparse"}

    before = await sparse_scores()
    other = replace(client, tenant=client.tenant + "-other")
    await other.ingest({"id": str(i), "text": f"Heliotrope number {i}."} for i in range(20))

    assert len(before) == 2
    assert await sparse_scores() == pytest.approx(before)


async def test_no_question_of_fifty_tenants_finds_what_is_another_s(tmp_path: Path) -> None:
    async with tenants(tmp_path) as made:
        foreign = [await made.foreign(lookup) for lookup in made.lookups(1500)]
        bare = [await made.foreign(lookup, without_root=True) for lookup in made.lookups(20)]

    assert not any(foreign)
    assert all(bare), "without the filter at the root the tenants are not apart: else this shows nothing"
