"""A new revision takes over an alias, and gives it back, while an operator runs on a real API server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sluice_inference.adapter_agent.reasons import Reason
from sluice_operator.cluster.kube import KubeCluster
from support import crds
from support.adapter_scenes import Json, Place, Scene, condition_of
from support.api_server import ApiServer

pytestmark = pytest.mark.needs("cluster")

OLD, NEW = {"local": {"path": "/models/old"}}, {"local": {"path": "/models/new"}}


@asynccontextmanager
async def always_served(scene: Scene, name: str) -> AsyncIterator[list[str]]:
    """Within the block, what the status has engines asked for is loaded somewhere at any time; gives the names."""
    names: list[str] = []

    async def watch() -> None:
        while True:
            engine_name = (await scene.status(name))["engineName"]
            if engine_name not in names[-1:]:
                names.append(engine_name)
            assert any(engine_name in pod.agent.loaded for pod in scene.pods.pods), engine_name
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    try:
        yield names
    finally:
        if not watching.done():
            watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        if not watching.cancelled():
            watching.result()


async def test_the_old_revision_serves_until_the_new_one_can_and_comes_back_without_a_load(
    server: ApiServer, cluster: KubeCluster, namespace: str, tmp_path: Path
) -> None:
    crds.install(server)
    async with Place(server, cluster, namespace, tmp_path / "log").scene(3) as scene:
        await scene.make("support", source=OLD, rollbackWindow="1h", placement={"minAvailable": 2})
        old = (await scene.until_ready("support"))["engineName"]
        async with always_served(scene, "support") as names:
            for pod in scene.pods.pods[:2]:
                pod.agent.faults.failing_loads["/models/new"] = -1
            await scene.change("support", revision="2", source=NEW)

            def waits(found: Json) -> bool:
                ready = condition_of(found, "Ready")
                return ready.get("reason") == "EarlierRevision" and any(
                    each["state"] == "Failed" for each in found["pods"]
                )

            held = await scene.until("support", waits)
            assert condition_of(held, "Ready")["status"] == "True"
            assert (held["engineName"], held["revision"]) == (old, "1")

            for pod in scene.pods.pods[:2]:
                pod.agent.faults.failing_loads.clear()
            swapped = await scene.until_ready("support", "2")
            new = swapped["engineName"]
            assert new != old
            assert swapped["previous"]["engineName"] == old
            await scene.until_loaded(lambda loaded: loaded == {old, new})

            loads = [pod.agent.calls["Load"] for pod in scene.pods.pods]
            await scene.change("support", revision="1", source=OLD)
            back = await scene.until_ready("support", "1")
            assert (back["engineName"], back["previous"]["engineName"]) == (old, new)
            assert [pod.agent.calls["Load"] for pod in scene.pods.pods] == loads
        assert names == [old, new, old]

        await scene.change("support", rollbackWindow="0s")
        await scene.change("support", revision="3", source={"local": {"path": "/models/third"}})
        third = (await scene.until_ready("support", "3"))["engineName"]
        await scene.until_loaded(lambda loaded: third in loaded and old not in loaded)
        await scene.delete("support")
        await scene.until_gone("support")
        await scene.until_loaded(lambda loaded: loaded == set())


async def test_a_new_revision_whose_files_are_bad_changes_nothing_of_what_serves(
    server: ApiServer, cluster: KubeCluster, namespace: str, tmp_path: Path
) -> None:
    crds.install(server)
    async with Place(server, cluster, namespace, tmp_path / "log").scene(2) as scene:
        await scene.make("support", source=OLD)
        old = (await scene.until_ready("support"))["engineName"]
        scene.pods.catalogue.wrong["/models/new"] = Reason.SHAPE_MISMATCH
        async with always_served(scene, "support") as names:
            await scene.change("support", revision="2", source=NEW)
            await scene.until_condition("support", "Compatible", "ShapeMismatch", "False")
            ready = await scene.until_condition("support", "Ready", "EarlierRevision", "True")
            assert ready["message"]
        assert names == [old]
        assert all(pod.agent.loaded == {old} for pod in scene.pods.pods)
