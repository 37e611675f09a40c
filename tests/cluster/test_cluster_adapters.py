"""Adapters on ten fake pods, in a running operator on a real API server."""

import asyncio
import logging
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import pytest

from sluice_inference.adapter_agent.reasons import Reason
from sluice_operator.cluster.kube import KubeCluster
from support import crds
from support.adapter_scenes import Scene, condition_of, operated
from support.api_server import ApiServer

pytestmark = pytest.mark.needs("cluster")


@pytest.fixture(scope="module")
def installed(server: ApiServer) -> ApiServer:
    crds.install(server)
    return server


@dataclass
class Place:
    """Where a test's scene is."""

    server: ApiServer
    cluster: KubeCluster
    namespace: str

    def scene(self, count: int = 10, **lora: int) -> AbstractAsyncContextManager[Scene]:
        """Pods, and an operator that runs."""
        return operated(self.server, self.cluster, self.namespace, count, **lora)


@pytest.fixture
def place(installed: ApiServer, cluster: KubeCluster, namespace: str) -> Place:
    return Place(installed, cluster, namespace)


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


@pytest.mark.parametrize(
    ("wrong", "condition", "reason"),
    [
        (Reason.SOURCE_NOT_FOUND, "SourceResolved", "NotFound"),
        (Reason.NOT_SAFETENSORS, "SourceResolved", "UnsafeFormat"),
        (Reason.SHAPE_MISMATCH, "Compatible", "ShapeMismatch"),
        (Reason.RANK_TOO_HIGH, "Compatible", "RankTooHigh"),
    ],
)
async def test_what_an_agent_refuses_ends_in_its_reason_and_reaches_no_engine(
    place: Place, wrong: Reason, condition: str, reason: str
) -> None:
    async with place.scene() as scene:
        scene.pods.catalogue.wrong["/models/bad"] = wrong
        await scene.make("bad")
        found = await scene.until_condition("bad", condition, reason, "False")
        assert "/models/bad" in found["message"]
        ready = await scene.until_condition("bad", "Ready", reason, "False")
        assert ready["message"]
        assert all(not pod.agent.engine.loads for pod in scene.pods.pods)
        assert all("Load" not in pod.agent.calls for pod in scene.pods.pods)


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
    place: Place, caplog: pytest.LogCaptureFixture
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
        (warning,) = (each for each in caplog.messages if "deletion.timeout" in each)
        assert f"{name} on {far.name}" in warning


async def test_of_two_adapters_with_one_alias_the_older_has_it_until_it_goes(place: Place) -> None:
    async with place.scene() as scene:
        await scene.make("first", modelName="support")
        await scene.until_ready("first")
        await asyncio.sleep(1.1)  # creation times have whole seconds
        await scene.make("second", modelName="support")
        refused = await scene.until_condition("second", "Ready", "AliasConflict", "False")
        assert "first" in refused["message"]
        await scene.delete("first")
        await scene.until_gone("first")
        status = await scene.until_ready("second")
        await scene.until_loaded(lambda names: names == {status["engineName"]})


async def test_an_adapter_takes_a_slot_once_another_has_left_it(place: Place) -> None:
    async with place.scene(2, maxLoras=1, maxCpuLoras=1) as scene:
        await scene.make("first")
        await scene.until_ready("first")
        await scene.make("second")
        placed = await scene.until_condition("second", "Placed", "NoFreeSlots", "False")
        assert "maxCpuLoras" in placed["message"]
        await scene.delete("first")
        status = await scene.until_ready("second")
        await scene.until_loaded(lambda names: names == {status["engineName"]})
        assert [pod.agent.engine.most for pod in scene.pods.pods] == [1, 1]


async def test_the_token_is_in_no_log_and_no_object(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with place.scene(2) as scene:
        await scene.make("support")
        await scene.until_ready("support")
        scene.pods[0].agent.token = "n" * 64
        await scene.pods.restart(scene.pods[0])  # which has it asked
        await scene.until_condition("support", "Loaded", "PartiallyLoaded")
        written = await scene.kubectl("get", "lora,msrv,events", "-o", "yaml")
        assert "UNAUTHENTICATED" in written
        assert scene.pods.token not in caplog.text + written
