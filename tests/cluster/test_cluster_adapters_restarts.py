"""An operator that is killed in the middle of an adapter's life, and the next one, on a real API server."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sluice_operator.cluster.kube import KubeCluster
from support import crds
from support.adapter_operator import adapter_process
from support.adapter_scenes import Json, Scene, scene
from support.api_server import ApiServer
from support.waiting import until

pytestmark = pytest.mark.needs("cluster")


class Operator:
    """An operator as a process, which can be killed."""

    def __init__(self, scene: Scene, log: Path) -> None:
        self._scene = scene
        self.log = log

    @asynccontextmanager
    async def killed(self) -> AsyncIterator[None]:
        """An operator that is killed at the end of the block."""
        at = self._scene
        async with adapter_process(at.server, at.namespace, at.pods.port, self.log) as process:
            yield
            assert process.returncode is None, self.log.read_text()
            process.send_signal(signal.SIGKILL)
            await process.wait()


def outcome(status: Json) -> Json:
    """What there is in the end, without how it came to be."""
    kept = {key: status.get(key) for key in ("engineName", "revision", "loaded", "replicas", "resolved")}
    return {
        **kept,
        "previous": (status.get("previous") or {}).get("engineName"),
        "pods": sorted((each["podName"], each["engineName"], each["state"]) for each in status["pods"]),
        "conditions": sorted((each["type"], each["status"], each["reason"]) for each in status["conditions"]),
    }


async def test_the_next_operator_goes_on_where_one_was_killed(
    server: ApiServer, cluster: KubeCluster, namespace: str, tmp_path: Path
) -> None:
    crds.install(server)
    async with scene(server, cluster, namespace, 3) as at:
        operator = Operator(at, tmp_path / "log")
        slow = at.pods[2]

        # while it loads
        slow.agent.faults.slow_loads["/models/support"] = 3.0
        async with operator.killed():
            await at.make("support", rollbackWindow="1h")

            async def loading() -> bool:
                return bool(slow.agent.state.loading and at.pods[0].agent.loaded)

            await until(loading)

        # while another revision takes over
        slow.agent.faults.slow_loads["/models/new"] = 3.0
        async with operator.killed():
            first = await at.until_ready("support")
            await at.change("support", revision="2", source={"local": {"path": "/models/new"}})

            async def swapping() -> bool:
                return bool(slow.agent.state.loading and len(at.pods[0].agent.loaded) == 2)

            await until(swapping)

        # while it leaves
        async with operator.killed():
            second = await at.until_ready("support", "2")
            names = {first["engineName"], second["engineName"]}
            assert len(names) == 2
            await at.until_loaded(lambda loaded: loaded == names)
            await at.make("undisturbed", modelName="other", rollbackWindow="1h")
            await at.until_ready("undisturbed")
            await at.change("undisturbed", revision="2", source={"local": {"path": "/models/new"}})
            undisturbed = await at.until_ready("undisturbed", "2")
            assert _shape(outcome(second)) == _shape(outcome(undisturbed))

            await at.change("support", deletion={"drain": "3s"})
            await at.delete("support")
            await at.until("support", lambda found: found.get("leavingSince"))
        async with operator.killed():
            await at.until_gone("support")
            kept = {undisturbed["engineName"], undisturbed["previous"]["engineName"]}
            await at.until_loaded(lambda loaded: loaded == kept)
        assert at.pods.token not in operator.log.read_text()


def _shape(found: Json) -> Json:
    """Without the names, which differ."""
    return {
        "conditions": found["conditions"],
        "loaded": found["loaded"],
        "replicas": found["replicas"],
        "revision": found["revision"],
        "kept": bool(found["previous"]),
        "pods": sorted((name, state) for name, _, state in found["pods"]),
    }
