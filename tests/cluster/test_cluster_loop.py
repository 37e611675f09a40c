"""The loop in a running operator, on a real API server, with toys."""

import pytest

from sluice_operator.cluster.kube import KubeCluster
from support.api_server import ApiServer
from support.operator_process import running_operator
from support.toy_cluster import ToyCluster, condition, install
from support.toys import ToyKind
from support.waiting import until

pytestmark = pytest.mark.needs("cluster")


@pytest.fixture(scope="module")
def toy_server(server: ApiServer) -> ApiServer:
    install(server)
    return server


@pytest.fixture
def toys(toy_server: ApiServer, cluster: KubeCluster, namespace: str) -> ToyCluster:
    return ToyCluster(toy_server, cluster, namespace)


async def passed(kind: ToyKind, toys: ToyCluster, name: str) -> None:
    """A change that asks for nothing new has been looked at."""
    before = kind.passes
    await toys.kubectl("annotate", "toy", name, f"touched=by-{before}", "--overwrite")

    async def more() -> bool:
        return kind.passes > before

    await until(more)


async def test_children_come_and_go_with_the_spec_and_the_object(toys: ToyCluster) -> None:
    kind = ToyKind()
    async with running_operator(toys.server, lambda _: [kind], toys.namespace):
        await toys.make("a", entries={"x": "1", "y": "2"})
        found = await toys.wait("a", "Ready", "Made")
        assert found["status"]["made"] == 2
        assert found["metadata"]["finalizers"] == ["sluice.dev/operator"]
        annotations = set(found["metadata"]["annotations"])
        assert annotations == {"kubectl.kubernetes.io/last-applied-configuration"}

        await toys.make("a", entries={"x": "3"})

        async def pruned() -> bool:
            return {name: each["data"] for name, each in (await toys.config_maps()).items()} == {
                "a-x": {"value": "3"}
            }

        await until(pruned)
        await toys.kubectl("delete", "toy", "a", "--timeout=60s")

        async def forgotten() -> bool:
            return kind.forgot == [found["metadata"]["uid"]]

        await until(forgotten)


async def test_a_pass_that_changes_nothing_sends_nothing_also_after_a_restart(toys: ToyCluster) -> None:
    kind = ToyKind()
    async with running_operator(toys.server, lambda _: [kind], toys.namespace):
        await toys.make("a", entries={"x": "1", "y": "2"})
        await toys.wait("a", "Ready", "Made")
        await passed(kind, toys, "a")
        settled = toys.writes()
        for _ in range(3):
            await passed(kind, toys, "a")
        assert toys.writes() == settled

    again = ToyKind()
    async with running_operator(toys.server, lambda _: [again], toys.namespace):
        await passed(again, toys, "a")
        await passed(again, toys, "a")
    assert toys.writes() == settled
    assert sum("configmaps" in write for write in settled) == 2
    assert sum("status" in write for write in settled) == 1


async def test_what_the_operator_owns_is_put_back_and_what_others_own_stays(toys: ToyCluster) -> None:
    kind = ToyKind()
    async with running_operator(toys.server, lambda _: [kind], toys.namespace):
        await toys.make("a", entries={"x": "1"})
        await toys.wait("a", "Ready", "Made")
        await toys.kubectl("patch", "configmap", "a-x", "-p", '{"data": {"value": "9", "others": "own"}}')

        async def repaired() -> bool:
            found = (await toys.config_maps())["a-x"]
            return bool(found["data"] == {"value": "1", "others": "own"})

        await until(repaired)
        await toys.kubectl("delete", "configmap", "a-x")

        async def made_again() -> bool:
            return "a-x" in await toys.config_maps()

        await until(made_again)


async def test_a_spec_that_the_model_refuses_says_which_field(toys: ToyCluster) -> None:
    async with running_operator(toys.server, lambda _: [ToyKind()], toys.namespace):
        await toys.make("a", entries={"x": "1"})
        good = await toys.wait("a", "Ready", "Made")
        await toys.make("a", entries={"x": "1"}, limit=11)
        bad = await toys.wait("a", "Ready", "Invalid")
        assert condition(bad, "Ready")["status"] == "False"
        assert "spec.limit: " in condition(bad, "Ready")["message"]
        assert condition(bad, "Stalled")["reason"] == "Invalid"
        assert condition(bad, "Ready")["observedGeneration"] == 2
        assert bad["status"]["made"] == good["status"]["made"]

        async def told() -> list[tuple[str, str, str]]:
            return sorted((each["type"], each["action"], each["reason"]) for each in await toys.events("a"))

        await until(told)
        await toys.make("a", entries={"x": "1"}, limit=9)
        healed = await toys.wait("a", "Ready", "Made")
        assert condition(healed, "Stalled") == {}

        async def all_told() -> bool:
            return await told() == [
                ("Normal", "Ready", "Made"),
                ("Normal", "Ready", "Made"),
                ("Warning", "Ready", "Invalid"),
                ("Warning", "Stalled", "Invalid"),
            ]

        await until(all_told)


async def test_what_the_api_server_refuses_stalls_and_nothing_is_deleted_for_it(toys: ToyCluster) -> None:
    async with running_operator(toys.server, lambda _: [ToyKind()], toys.namespace):
        await toys.kubectl("create", "configmap", "taken-x", "--from-literal=value=mine")
        await toys.make("taken", entries={"x": "1"})
        await toys.make("refused", entries={"X": "1"})
        await toys.make("fixed", entries={"x": "1"}, stays=True)
        taken = await toys.wait("taken", "Stalled", "NameTaken")
        assert "was not made by the operator" in condition(taken, "Ready")["message"]
        assert condition(taken, "Ready")["status"] == "Unknown"
        refused = await toys.wait("refused", "Stalled", "Refused")
        assert "refused-X" in condition(refused, "Stalled")["message"]

        await toys.wait("fixed", "Ready", "Made")
        before = (await toys.config_maps())["fixed-x"]["metadata"]["uid"]
        await toys.make("fixed", entries={"x": "2"}, stays=True)
        stalled = await toys.wait("fixed", "Stalled", "ImmutableField")
        assert condition(stalled, "Ready")["status"] == "True"
        assert (await toys.config_maps())["fixed-x"]["metadata"]["uid"] == before
        await toys.kubectl("delete", "configmap", "taken-x", "fixed-x")
        await toys.wait("fixed", "Ready", "Made")
        await toys.wait("taken", "Ready", "Made")


async def test_a_deletion_waits_for_the_kind_and_a_new_process_goes_on_with_it(toys: ToyCluster) -> None:
    async with running_operator(toys.server, lambda _: [ToyKind()], toys.namespace):
        await toys.make("a", entries={"x": "1"}, hold=True)
        await toys.wait("a", "Ready", "Made")
        await toys.kubectl("delete", "toy", "a", "--wait=false")
    found = await toys.get("a")
    assert found is not None
    assert found["metadata"]["deletionTimestamp"]

    again = ToyKind()
    async with running_operator(toys.server, lambda _: [again], toys.namespace):

        async def asked() -> bool:
            return again.passes > 0

        await until(asked)
        assert await toys.get("a") is not None
        await toys.kubectl("patch", "toy", "a", "--type=merge", "-p", '{"spec": {"hold": false}}')

        async def gone() -> bool:
            return await toys.get("a") is None

        await until(gone, seconds=20.0)  # sooner than the kind has said, since the change wakes it
