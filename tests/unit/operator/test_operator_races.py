"""What others do between two steps of a pass. Each of these was first met by the state machine of the loop."""

from typing import Any

import pytest

from sluice_operator.cluster.resources import CONFIG_MAPS, SECRETS
from sluice_servicekit import errors
from support.fake_cluster import FakeCluster
from support.operated import Operated
from support.shelved_toys import TOYS, Shelf, ToyKind, toy

NAMESPACE = "toys"


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def operated(cluster: FakeCluster) -> Operated:
    shelf = Shelf()
    return Operated(cluster, lambda operated: [ToyKind(operated.mirror, shelf)])


def _word(cluster: FakeCluster) -> Any:
    return cluster.objects[CONFIG_MAPS, NAMESPACE, "a-x"]["data"]["word"]


async def test_a_spec_that_is_changed_while_a_status_is_told_is_not_passed_over(
    cluster: FakeCluster, operated: Operated
) -> None:
    cluster.create(TOYS, toy("a", NAMESPACE, words={"x": "1"}, box="box"))
    await operated.settle()
    metadata = {"name": "box", "namespace": NAMESPACE}
    cluster.create(
        SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"value": "1"}}
    )
    operated.streams.flow()

    cluster.edit(TOYS, NAMESPACE, "a", {"spec": {"words": {"x": "2"}}})
    await operated.step()  # of the toy as it was; its status is new, since there is a box now
    operated.streams.flow()
    await operated.step()

    assert _word(cluster) == "2"


async def test_the_status_of_an_object_that_is_gone_is_not_told_of_another_of_its_name(
    cluster: FakeCluster, operated: Operated
) -> None:
    cluster.create(TOYS, toy("a", NAMESPACE, words={"x": "1"}))
    operated.streams.flow()

    def replace() -> None:
        cluster.edit(TOYS, NAMESPACE, "a", {"metadata": {"finalizers": []}})
        cluster.remove(TOYS, NAMESPACE, "a")
        cluster.create(TOYS, toy("a", NAMESPACE, words={"y": "1"}))

    operated.faults.come_between(1, replace)  # the child has been written, the status not yet
    await operated.step()

    assert "status" not in cluster.objects[TOYS, NAMESPACE, "a"]


async def test_a_status_whose_reply_was_lost_is_not_written_over_by_an_older_one(
    cluster: FakeCluster, operated: Operated
) -> None:
    cluster.create(TOYS, toy("a", NAMESPACE))
    await operated.settle()
    cluster.edit(TOYS, NAMESPACE, "a", {"spec": {"words": {"x": "1"}}})
    operated.streams.flow()

    lost = errors.DeadlineExceeded("the API server did not answer in 30 s")
    operated.faults.fail(1, lambda: lost, taken=True)  # the child has been written
    await operated.step()
    told = cluster.objects[TOYS, NAMESPACE, "a"]["status"]

    assert told["words"] == 1
    assert [condition["type"] for condition in told["conditions"]] == ["Ready"]


async def test_a_child_without_its_labels_gets_them_back(cluster: FakeCluster, operated: Operated) -> None:
    cluster.create(TOYS, toy("a", NAMESPACE, words={"x": "1"}))
    await operated.settle()
    labels = cluster.objects[CONFIG_MAPS, NAMESPACE, "a-x"]["metadata"]["labels"]

    cluster.edit(CONFIG_MAPS, NAMESPACE, "a-x", {"metadata": {"labels": dict.fromkeys(labels)}})
    operated.streams.flow()
    await operated.step()

    assert cluster.objects[CONFIG_MAPS, NAMESPACE, "a-x"]["metadata"]["labels"] == labels


async def test_a_child_that_was_deleted_before_any_stream_told_of_it_is_made_anew(
    cluster: FakeCluster, operated: Operated
) -> None:
    cluster.create(TOYS, toy("a", NAMESPACE, words={"x": "1"}))
    operated.streams.flow()
    await operated.step()

    cluster.remove(CONFIG_MAPS, NAMESPACE, "a-x")
    operated.relist()
    await operated.step()

    assert _word(cluster) == "1"


async def test_what_another_makes_just_before_the_operator_is_left_alone(
    cluster: FakeCluster, operated: Operated
) -> None:
    cluster.create(TOYS, toy("a", NAMESPACE, words={"x": "1"}))
    operated.streams.flow()
    metadata = {"name": "a-x", "namespace": NAMESPACE}
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"word": "theirs"}}

    operated.faults.come_between(0, lambda: cluster.create(CONFIG_MAPS, theirs))
    await operated.step()
    await operated.settle()

    assert _word(cluster) == "theirs"
