"""The last good copy on a real API server, which bounds what an object may hold."""

import random

import pytest

from sluice_api.objects.base import API_VERSION
from sluice_api.objects.knowledge_base import KnowledgeBase
from sluice_api.tolerant import Good, Key
from sluice_operator.cluster.kube import KubeCluster
from sluice_operator.cluster.resources import CONFIG_MAPS
from sluice_operator.snapshots.last_good import INDEX, LastGood, encode

pytestmark = pytest.mark.needs("cluster")


def _good(count: int) -> dict[Key, Good]:
    noise = random.Random(5)
    found = {}
    for number in range(count):
        metadata = {"name": f"kb-{number}", "namespace": "default"}
        spec = {"description": noise.randbytes(500).hex()}
        content = {"apiVersion": API_VERSION, "kind": "KnowledgeBase", "metadata": metadata, "spec": spec}
        item = KnowledgeBase.model_validate(content)
        found[Key("KnowledgeBase", "default", f"kb-{number}")] = Good(item, 1, "2026-01-01T00:00:00Z")
    return found


async def test_a_copy_larger_than_one_object_may_be_is_read_as_it_was_written(
    cluster: KubeCluster, namespace: str
) -> None:
    large, small = _good(3000), _good(3)
    assert len(encode(large)) > 1 << 20

    await LastGood(cluster, namespace).write(large)
    found = await LastGood(cluster, namespace).read()
    await LastGood(cluster, namespace).write(small)
    after = await LastGood(cluster, namespace).read()
    maps = await cluster.list(CONFIG_MAPS, namespace)

    assert {key: each.object.spec for key, each in found.items()} == {
        key: each.object.spec for key, each in large.items()
    }
    assert set(after) == set(small)
    kept = [each["metadata"]["name"] for each in maps if each["metadata"]["name"].startswith(INDEX)]
    assert len(kept) == 2
