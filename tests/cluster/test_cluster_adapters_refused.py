"""Adapters that cannot be had, named or placed, in a running operator on a real API server."""

import asyncio
from pathlib import Path

import pytest

from sluice_inference.adapter_agent.reasons import Reason
from sluice_operator.cluster.kube import KubeCluster
from support import crds
from support.adapter_scenes import Place
from support.api_server import ApiServer

pytestmark = pytest.mark.needs("cluster")


@pytest.fixture(scope="module")
def installed(server: ApiServer) -> ApiServer:
    crds.install(server)
    return server


@pytest.fixture
def place(installed: ApiServer, cluster: KubeCluster, namespace: str, tmp_path: Path) -> Place:
    return Place(installed, cluster, namespace, tmp_path / "log")


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
    async with place.scene(3) as scene:
        scene.pods.catalogue.wrong["/models/bad"] = wrong
        await scene.make("bad")
        found = await scene.until_condition("bad", condition, reason, "False")
        assert "/models/bad" in found["message"]
        ready = await scene.until_condition("bad", "Ready", reason, "False")
        assert ready["message"]
        assert all(not pod.agent.engine.loads for pod in scene.pods.pods)
        assert all("Load" not in pod.agent.calls for pod in scene.pods.pods)


async def test_of_two_adapters_with_one_alias_the_older_has_it_until_it_goes(place: Place) -> None:
    async with place.scene(3) as scene:
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


async def test_the_token_is_in_no_log_and_no_object(place: Place) -> None:
    async with place.scene(2) as scene:
        await scene.make("support")
        await scene.until_ready("support")
        scene.pods[0].agent.token = "n" * 64
        await scene.pods.restart(scene.pods[0])  # which has it asked
        await scene.until_condition("support", "Loaded", "PartiallyLoaded")
        written = await scene.kubectl("get", "lora,msrv,events", "-o", "yaml")
        assert "UNAUTHENTICATED" in written
        assert scene.pods.token not in place.log.read_text() + written
