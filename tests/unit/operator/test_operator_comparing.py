"""Whether an object is already as it ought to be."""

from typing import Any

import pytest

from sluice_operator.cluster.resources import CONFIG_MAPS, DEPLOYMENTS
from sluice_operator.reconciling.applying import Applier
from sluice_operator.reconciling.comparing import APPLIED, is_so, marked
from sluice_operator.reconciling.mirror import Mirror
from sluice_servicekit import errors
from support.fake_cluster import FakeCluster


def intent(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a", "namespace": "default", "labels": {"sluice.dev/owner-uid": "owner"}},
        "spec": spec,
    }


@pytest.mark.parametrize(
    ("want", "have", "so"),
    [
        ({"a": 1}, {"a": 1, "others": 2}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {}, False),
        ({"a": {}}, {}, True),
        ({"a": []}, {}, True),
        ({"a": [1, 2]}, {"a": [1, 2]}, True),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"a": [{"name": "x"}]}, {"a": [{"name": "x", "defaulted": 1}]}, True),
        ({"a": [{"name": "x"}]}, {"a": [{"name": "x"}, {"name": "injected"}]}, False),
        ({"cpu": "1000m"}, {"cpu": "1"}, True),
        ({"cpu": 0.5}, {"cpu": "500m"}, True),
        ({"memory": "1024Mi"}, {"memory": "1Gi"}, True),
        ({"memory": "1G"}, {"memory": "1Gi"}, False),
        ({"name": "a"}, {"name": "b"}, False),
        ({"on": True}, {"on": 1}, True),
        ({"on": True}, {"on": "1"}, False),
        ({"port": 80}, {"port": "80"}, True),
    ],
)
def test_what_the_intent_does_not_name_is_others(
    want: dict[str, Any], have: dict[str, Any], *, so: bool
) -> None:
    assert is_so({"spec": want}, {"spec": have}) is so


def test_a_field_that_leaves_the_intent_makes_a_difference() -> None:
    before = marked(intent(replicas=2, paused=True))
    assert is_so(before, before)
    assert not is_so(marked(intent(replicas=2)), before)
    assert marked(before)["metadata"]["annotations"][APPLIED]


class Defaulting(FakeCluster):
    """Has its own word for a value, as API servers do for some."""

    async def apply(self, resource: Any, manifest: Any) -> Any:
        said = {**manifest, "spec": {**manifest["spec"], "mode": "canonical"}}
        return await super().apply(resource, said)


async def test_a_value_that_the_server_words_anew_is_sent_once() -> None:
    cluster = Defaulting()
    applier = Applier(cluster, cluster.mirror)
    for _ in range(3):
        await applier.apply(DEPLOYMENTS, intent(mode="mine"), "owner")
    assert len(cluster.writes) == 1

    await applier.apply(DEPLOYMENTS, intent(mode="another"), "owner")
    assert len(cluster.writes) == 2
    live = dict(cluster.objects[DEPLOYMENTS, "default", "a"])
    cluster.create(DEPLOYMENTS, live | {"spec": {"mode": "drifted"}})
    await applier.apply(DEPLOYMENTS, intent(mode="another"), "owner")
    assert len(cluster.writes) == 3


async def test_an_object_of_another_owner_is_not_touched() -> None:
    cluster = FakeCluster()
    await Applier(cluster, cluster.mirror).apply(DEPLOYMENTS, intent(x=1), "owner")

    with pytest.raises(errors.FailedPrecondition, match="belongs to the object with uid owner"):
        await Applier(cluster, cluster.mirror).apply(DEPLOYMENTS, intent(x=2), "thief")
    cluster.create(CONFIG_MAPS, {"metadata": {"name": "a", "namespace": "default"}})
    with pytest.raises(errors.FailedPrecondition, match="was not made by the operator"):
        await Applier(cluster, Mirror()).apply(CONFIG_MAPS, intent(), "owner")
    assert len(cluster.writes) == 1
