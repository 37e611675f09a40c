"""The custom resource definitions on a real API server: they are served, and examples fit."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sluice_api.objects.registry import KINDS
from support import crds
from support.api_server import ApiServer
from support.crd_rules import LEAST, manifest

pytestmark = pytest.mark.needs("cluster")

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module", autouse=True)
def _installed(server: ApiServer) -> None:
    crds.install(server)


def test_every_kind_is_served_under_its_names(server: ApiServer) -> None:
    served = json.loads(server.kubectl("get", "--raw", "/apis/sluice.dev/v1alpha1"))["resources"]

    by_name = {each["name"]: each for each in served}
    for kind in KINDS.values():
        resource = by_name[kind.PLURAL]
        assert resource["kind"] == kind.KIND
        assert resource["singularName"] == kind.KIND.lower()
        assert resource["shortNames"] == [kind.SHORT_NAME]
        assert resource["categories"] == ["sluice"]
        assert f"{kind.PLURAL}/status" in by_name
    assert [name for name in by_name if name.endswith("/scale")] == ["modelservers/scale"]


@pytest.mark.parametrize("folder", sorted(EXAMPLES.iterdir()), ids=lambda folder: folder.name)
def test_examples_are_accepted(server: ApiServer, folder: Path) -> None:
    files = sorted(str(file) for file in folder.rglob("*.yaml"))
    told = server.kubectl("create", "--dry-run=server", *[f"--filename={file}" for file in files])

    assert told.count("created (server dry run)") >= len(files)


@pytest.fixture
async def objects(server: ApiServer) -> AsyncIterator[crds.Objects]:
    async with crds.objects(server) as found:
        yield found


async def _create(objects: crds.Objects, manifest: dict) -> dict:
    reply = await objects.create(manifest)
    assert reply.status == 201, reply.message
    return reply.body


async def _say(objects: crds.Objects, body: dict, **status: object) -> None:
    ready = {"type": "Ready", "status": "False", "reason": "NoReplica", "message": "Wait for a pod."}
    conditions = [{**ready, "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"}]
    reply = await objects.replace({**body, "status": {"conditions": conditions, **status}}, of="status")
    assert reply.status == 200, reply.message


def _cells(server: ApiServer, *arguments: str) -> list[dict[str, str]]:
    """kubectl's table; what nothing is known of is empty."""
    head, *rows = server.kubectl("get", *arguments).splitlines()
    starts = [(match[0], match.start()) for match in re.finditer(r"\S+( \S+)*", head)]
    ends = [start for _, start in starts[1:]] + [None]
    return [
        {name: row[start:end].strip() for (name, start), end in zip(starts, ends, strict=True)}
        for row in rows
    ]


@pytest.mark.parametrize("kind", sorted(LEAST))
async def test_the_table_shows_whether_it_is_ready_and_why_not(
    kind: str, objects: crds.Objects, server: ApiServer, namespace: str
) -> None:
    body = await _create(objects, manifest(kind, LEAST[kind], namespace))
    await _say(objects, body)

    (row,) = _cells(server, KINDS[kind].SHORT_NAME, "--namespace", namespace)

    assert row["NAME"] == "tried"
    assert row["READY"] == "False"
    assert row["REASON"] == "NoReplica"
    assert row["AGE"].endswith("s")


async def test_one_word_lists_all_kinds(objects: crds.Objects, server: ApiServer, namespace: str) -> None:
    for kind, spec in LEAST.items():
        await _create(objects, manifest(kind, spec, namespace))

    listed = server.kubectl("get", "sluice", "--namespace", namespace, "--output", "name").split()

    assert set(listed) == {f"{kind.KIND.lower()}.sluice.dev/tried" for kind in KINDS.values()}


async def test_a_spec_is_no_way_to_write_a_status_and_the_other_way_round(
    objects: crds.Objects, namespace: str
) -> None:
    body = await _create(objects, manifest("TenantShard", LEAST["TenantShard"], namespace))
    changed = {**body, "spec": {**body["spec"], "tier": "Shared"}}
    reply = await objects.replace({**changed, "status": {"observedGeneration": 7}}, of="status")
    assert reply.status == 200
    assert reply.body["spec"]["tier"] == "Auto"
    assert reply.body["metadata"]["generation"] == 1

    changed["metadata"]["resourceVersion"] = reply.body["metadata"]["resourceVersion"]
    reply = await objects.replace({**changed, "status": {"observedGeneration": 8}})
    assert reply.body["spec"]["tier"] == "Shared"
    assert reply.body["status"]["observedGeneration"] == 7
    assert reply.body["metadata"]["generation"] == 2


async def test_a_model_server_can_be_scaled(objects: crds.Objects, server: ApiServer, namespace: str) -> None:
    spec = {"baseModel": "llama", "vllm": {"image": "vllm/vllm-openai:v0.32.0"}}
    await _create(objects, manifest("ModelServer", spec, namespace))

    server.kubectl("scale", "msrv/tried", "--namespace", namespace, "--replicas=3")
    replicas = server.kubectl(
        "get", "msrv/tried", "--namespace", namespace, "--output", "jsonpath={.spec.vllm.replicas}"
    )

    assert replicas == "3"
