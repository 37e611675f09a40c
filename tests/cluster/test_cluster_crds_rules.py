"""Rules between fields on a real API server: each refuses what breaks it, says why, and lets pass what does not."""

from collections.abc import AsyncIterator

import pytest

from support import crds
from support.api_server import ApiServer
from support.crd_rules import CASES, LEAST, Case, manifest

pytestmark = pytest.mark.needs("cluster")


@pytest.fixture(scope="module", autouse=True)
def _installed(server: ApiServer) -> None:
    crds.install(server)


@pytest.fixture
async def objects(server: ApiServer) -> AsyncIterator[crds.Objects]:
    async with crds.objects(server) as found:
        yield found


@pytest.mark.parametrize("case", [case for case in CASES if case.before is None], ids=str)
async def test_a_rule_refuses_what_breaks_it(case: Case, objects: crds.Objects) -> None:
    accepted = await objects.create(case.manifest(case.accepted), dry_run=True)
    refused = await objects.create(case.manifest(case.refused), dry_run=True)

    assert accepted.status == 201, accepted.message
    assert refused.status == 422
    assert [message for _, message in refused.causes if case.message in message], refused.message


@pytest.mark.parametrize("case", [case for case in CASES if case.before is not None], ids=str)
async def test_a_rule_of_updates_refuses_what_breaks_it(
    case: Case, objects: crds.Objects, namespace: str
) -> None:
    made = await objects.create(case.manifest({}, namespace))
    assert made.status == 201, made.message
    of_made = made.body["metadata"]

    replies = []
    for patch in (case.accepted, case.refused):
        update = case.manifest(patch, namespace)
        update["metadata"] |= {"resourceVersion": of_made["resourceVersion"]}
        replies.append(await objects.replace(update, dry_run=True))
    accepted, refused = replies

    assert accepted.status == 200, accepted.message
    assert refused.status == 422
    assert [message for _, message in refused.causes if case.message in message], refused.message


@pytest.mark.parametrize("kind", sorted(LEAST))
async def test_what_is_no_field_is_refused(kind: str, objects: crds.Objects) -> None:
    reply = await objects.create(manifest(kind, {**LEAST[kind], "colour": "red"}), dry_run=True)

    assert reply.status == 400
    assert 'unknown field "spec.colour"' in reply.message
