"""Statuses on a real API server: everything that the operator can say is kept, to the letter."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from sluice_api.crds.definitions import definition
from sluice_api.objects.registry import KINDS
from sluice_api.statuses.registry import STATUSES
from support import crds
from support.api_server import ApiServer
from support.crd_rules import LEAST, manifest
from support.crd_samples import NOTHING, sample

pytestmark = pytest.mark.needs("cluster")


@pytest.fixture(scope="module", autouse=True)
def _installed(server: ApiServer) -> None:
    crds.install(server)


@pytest.fixture
async def objects(server: ApiServer) -> AsyncIterator[crds.Objects]:
    async with crds.objects(server) as found:
        yield found


def _everything(kind: str) -> dict[str, Any]:
    """A status with every field, as the operator's models write it."""
    parts = definition(KINDS[kind])["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    said = sample(parts["status"], lambda schema: NOTHING, "status").value
    for version in (said.get("resolved"), said.get("inRotation"), said.get("previous")):
        if version:  # of all sources one at most
            version["source"] = {"local": {"path": "/a"}}
    model, _ = STATUSES[kind]
    return model.model_validate(said).model_dump(mode="json", by_alias=True, exclude_none=True)


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_everything_that_the_operator_can_say_is_kept(
    kind: str, objects: crds.Objects, namespace: str
) -> None:
    made = await objects.create(manifest(kind, LEAST[kind], namespace))
    status = _everything(kind)
    reply = await objects.replace({**made.body, "status": status}, of="status")

    assert reply.status == 200, reply.message
    assert reply.body["status"] == status
    assert KINDS[kind].model_validate(reply.body).status == status


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_a_condition_has_a_status_and_a_reason_and_stands_once(
    kind: str, objects: crds.Objects, namespace: str
) -> None:
    made = await objects.create(manifest(kind, LEAST[kind], namespace))
    good = {"type": "Ready", "status": "True", "reason": "Ready"}
    for conditions, field in (
        ([{**good, "status": "Yes"}], "status.conditions[0].status"),
        ([{**good, "reason": "not a word"}], "status.conditions[0].reason"),
        ([{"type": "Ready", "status": "True"}], "status.conditions[0].reason"),
        ([good, good], "status.conditions[1]"),
    ):
        reply = await objects.replace({**made.body, "status": {"conditions": conditions}}, of="status")
        assert reply.status == 422
        assert field in [where for where, _ in reply.causes], reply.message
