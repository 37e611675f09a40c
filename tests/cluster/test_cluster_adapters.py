"""Adapters on ten fake pods, in a running operator on a real API server."""

from pathlib import Path

import pytest

from sluice_operator.cluster.kube import KubeCluster
from support import crds
from support.adapter_scenes import Place, condition_of
from support.api_server import ApiServer

pytestmark = pytest.mark.needs("cluster")


@pytest.fixture(scope="module")
def installed(server: ApiServer) -> ApiServer:
    crds.install(server)
    return server


@pytest.fixture
def place(installed: ApiServer, cluster: KubeCluster, namespace: str, tmp_path: Path) -> Place:
    return Place(installed, cluster, namespace, tmp_path / "log")


async def test_an_adapter_is_loaded_on_all_pods_and_kubectl_tells_of_it(place: Place) -> None:
    async with place.scene() as scene:
        await scene.make("support")
        status = await scene.until_ready("support")
        assert status["loaded"] == "10/10"
        assert status["engineName"].startswith("support--")
        assert status["resolved"]["digest"].startswith("sha256:")
        assert {each["state"] for each in status["pods"]} == {"Loaded"}
        await scene.until_loaded(lambda names: names == {status["engineName"]})
        assert all(pod.agent.calls["Load"] == 1 for pod in scene.pods.pods)

        header, row = (await scene.kubectl("get", "lora")).splitlines()
        columns = dict(zip(header.split(), row.split(), strict=True))
        assert columns["NAME"] == "support"
        assert columns["LOADED"] == "10/10"
        assert columns["READY"] == "True"
        described = await scene.kubectl("describe", "lora", "support")
        assert status["engineName"] in described
        assert "AllLoaded" in described
        assert "Normal" in described  # an Event of it becoming ready


async def test_a_pod_that_fails_leaves_the_others_serving(place: Place) -> None:
    async with place.scene() as scene:
        bad = scene.pods[3]
        bad.agent.faults.failing_loads["/models/support"] = -1
        await scene.make("support", load={"backoff": "500ms", "maxBackoff": "500ms", "maxAttempts": 2})
        status = await scene.until(
            "support",
            lambda found: (
                found.get("loaded") == "9/10"
                and condition_of(found, "Loaded").get("reason") == "PartiallyLoaded"
                and found["pods"][0]["state"] == "Failed"
                and found["pods"][0]["attempts"] == 2
            ),
        )
        assert condition_of(status, "Loaded")["status"] == "False"
        assert condition_of(status, "Ready")["status"] == "True"
        first = status["pods"][0]
        assert (first["podName"], first["state"], first["reason"]) == (bad.name, "Failed", "ENGINE_FAILED")
        assert first["message"]
        assert bad.agent.loaded == set()
        assert all(pod.agent.loaded == {status["engineName"]} for pod in scene.pods.pods if pod is not bad)

        bad.agent.faults.failing_loads.clear()
        await scene.pods.restart(bad)  # what a person would do
        await scene.until_ready("support")


async def test_pods_that_come_or_restart_get_their_adapters_back(place: Place) -> None:
    async with place.scene() as scene:
        await scene.make("support")
        name = (await scene.until_ready("support"))["engineName"]
        new = await scene.pods.replace(scene.pods[0])
        await scene.until_loaded(lambda names: names == {name})
        assert new.agent.loaded == {name}
        restarted = scene.pods[0]
        await scene.pods.restart(restarted)
        await scene.until_loaded(lambda names: names == {name})
        status = await scene.until(
            "support",
            lambda found: (
                found["loaded"] == "10/10"
                and any(
                    each["podUid"] == restarted.uid
                    and each["restartCount"] == 1
                    and each["state"] == "Loaded"
                    for each in found["pods"]
                )
            ),
        )
        assert {each["podName"] for each in status["pods"]} == {pod.name for pod in scene.pods.pods}


async def test_a_deletion_unloads_everywhere_and_ends_though_a_pod_cannot_be_reached(
    place: Place,
) -> None:
    async with place.scene() as scene:
        await scene.make("support", deletion={"drain": "0s", "timeout": "3s"})
        name = (await scene.until_ready("support"))["engineName"]
        far = scene.pods[9]
        await scene.pods.cut_off(far)
        await scene.delete("support")
        await scene.until_gone("support")
        assert {pod.name for pod in scene.pods.pods if pod.agent.loaded} == {far.name}
        assert far.agent.loaded == {name}
        (warning,) = (each for each in place.log.read_text().splitlines() if "deletion.timeout" in each)
        assert f"{name} on {far.name}" in warning
