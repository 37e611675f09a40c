"""The operator's port to the API server, on a real one."""

import pytest

from sluice_operator.cluster.kube import KubeCluster
from sluice_operator.cluster.resources import CONFIG_MAPS

pytestmark = pytest.mark.needs("cluster")


async def test_what_is_applied_is_there_and_what_is_deleted_is_not(
    cluster: KubeCluster, namespace: str
) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": namespace, "labels": {"of": "a"}},
        "data": {"x": "1"},
    }

    applied = await cluster.apply(CONFIG_MAPS, manifest)
    found = await cluster.list(CONFIG_MAPS, namespace, {"of": "a"})
    await cluster.delete(CONFIG_MAPS, namespace, "a", uid="another")
    kept = await cluster.get(CONFIG_MAPS, namespace, "a")
    await cluster.delete(CONFIG_MAPS, namespace, "a", uid=applied["metadata"]["uid"])

    assert [each["metadata"]["name"] for each in found] == ["a"]
    assert kept is not None
    assert kept["data"] == {"x": "1"}
    assert await cluster.get(CONFIG_MAPS, namespace, "a") is None
