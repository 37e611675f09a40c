"""The loop in a running operator, on a real API server, with toys."""

import json
from typing import Any

import pytest

from sluice_operator.cluster.kube import KubeCluster
from sluice_operator.cluster.resources import CONFIG_MAPS, Resource
from support.api_server import ApiServer
from support.operator_process import running_operator
from support.toys import CRD, ToyKind, toy
from support.waiting import until

pytestmark = pytest.mark.needs("cluster")

TOYS = Resource("sluice.dev", "v1alpha1", "toys", "Toy")


@pytest.fixture(scope="session")
def toys(server: ApiServer) -> ApiServer:
    server.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(CRD))
    server.kubectl("wait", "--for=condition=Established", "crd/toys.sluice.dev", "--timeout=60s")
    return server


async def test_children_come_and_go_with_the_spec_and_the_object(
    toys: ApiServer, cluster: KubeCluster, namespace: str
) -> None:
    kind = ToyKind()
    async with running_operator(toys, lambda _: [kind], namespace):
        await cluster.apply(TOYS, toy("a", namespace, entries={"x": "1", "y": "2"}))

        async def ready() -> dict[str, Any] | None:
            found = await cluster.get(TOYS, namespace, "a")
            return found if found and found.get("status", {}).get("made") == 2 else None

        found = await until(ready)
        assert found["status"]["observedGeneration"] == 1
        assert found["status"]["conditions"][0]["type"] == "Ready"
        assert found["metadata"]["finalizers"] == ["sluice.dev/operator"]
        assert set(found["metadata"].get("annotations") or {}) == set()

        await cluster.apply(TOYS, toy("a", namespace, entries={"x": "3"}))

        async def pruned() -> bool:
            maps = await cluster.list(
                CONFIG_MAPS, namespace, {"app.kubernetes.io/managed-by": "sluice-operator"}
            )
            return [(each["metadata"]["name"], each["data"]) for each in maps] == [("a-x", {"value": "3"})]

        await until(pruned)
        await cluster.delete(TOYS, namespace, "a")

        async def gone() -> bool:
            return await cluster.get(TOYS, namespace, "a") is None and bool(kind.forgot)

        await until(gone)
    assert kind.forgot == [found["metadata"]["uid"]]
