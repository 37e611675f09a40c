"""What a real API server fills in is what the models would, and what it keeps is what it was given."""

from collections.abc import AsyncIterator

import pytest

from sluice_api.objects.registry import KINDS
from support import crds
from support.api_server import ApiServer
from support.crd_rules import CASES, LEAST, Case, manifest

FREE = {"a": None, "b": [1, None, {"c": 0.5, "d": None}], "e": {"f": None, "g": True}, "h": "i"}

pytestmark = pytest.mark.needs("cluster")


@pytest.fixture(scope="module", autouse=True)
def _installed(server: ApiServer) -> None:
    crds.install(server)


@pytest.fixture
async def objects(server: ApiServer) -> AsyncIterator[crds.Objects]:
    async with crds.objects(server) as found:
        yield found


@pytest.mark.parametrize("kind", sorted(LEAST))
async def test_the_server_fills_in_what_the_models_do(kind: str, objects: crds.Objects) -> None:
    body = manifest(kind, LEAST[kind])
    reply = await objects.create(body, dry_run=True)
    parsed = KINDS[kind].model_validate(body)

    assert reply.body["spec"] == parsed.model_dump(mode="json", by_alias=True, exclude_none=True)["spec"]


@pytest.mark.parametrize("kind", ["GuardrailPolicy", "KnowledgeBase"])
async def test_the_server_fills_in_a_whole_spec(kind: str, objects: crds.Objects) -> None:
    body = manifest(kind, {})
    del body["spec"]
    reply = await objects.create(body, dry_run=True)
    parsed = KINDS[kind].model_validate(body)

    assert reply.body["spec"] == parsed.model_dump(mode="json", by_alias=True, exclude_none=True)["spec"]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_what_is_read_back_says_the_same(case: Case, objects: crds.Objects) -> None:
    body = case.manifest(case.accepted)
    reply = await objects.create(body, dry_run=True)
    assert reply.status == 201, reply.message
    parsed, read = KINDS[case.kind].model_validate(body), KINDS[case.kind].model_validate(reply.body)

    assert read.spec == parsed.spec


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (
            "GuardrailPolicy",
            {"tenants": [{"names": ["a"], "patch": {"input": None, "output": {"pii": None}}}]},
        ),
        ("GuardrailPolicy", {"wasm": [{"name": "a", "module": "sha256:" + 64 * "0", "settings": FREE}]}),
        ("ModelServer", {"baseModel": "a", "vllm": {"image": "a", "podTemplate": {"spec": FREE}}}),
    ],
)
async def test_what_has_no_schema_is_kept_with_its_nulls(
    kind: str, spec: dict, objects: crds.Objects
) -> None:
    body = manifest(kind, spec)
    reply = await objects.create(body, dry_run=True)

    assert reply.status == 201, reply.message
    assert KINDS[kind].model_validate(reply.body).spec == KINDS[kind].model_validate(body).spec


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_what_the_models_write_is_kept_to_the_letter(case: Case, objects: crds.Objects) -> None:
    written = KINDS[case.kind].model_validate(case.manifest(case.accepted))
    body = manifest(case.kind, written.model_dump(mode="json", by_alias=True, exclude_none=True)["spec"])
    reply = await objects.create(body, dry_run=True)

    assert reply.status == 201, reply.message
    assert reply.body["spec"] == body["spec"]
    assert KINDS[case.kind].model_validate(reply.body).spec == written.spec
