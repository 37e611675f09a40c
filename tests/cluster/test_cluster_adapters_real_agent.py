"""Real files, the real adapter agent and a double of vLLM behind an operator on a real API server."""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from doubles.vllm import Settings, Vllm
from sluice_inference.adapter_agent.service import build
from sluice_inference.adapter_agent.settings import AdapterAgentSettings
from sluice_operator.cluster.kube import KubeCluster
from sluice_servicekit.service import serve
from support import adapter_files, crds, lora
from support.adapter_operator import adapter_process
from support.adapter_scenes import SERVER, Scene
from support.api_server import ApiServer
from support.fake_pods import FakePods

pytestmark = pytest.mark.needs("cluster")

PODS = 2
#: Of the base model that `adapter_files` writes adapters for.
BASE = {"hidden_size": adapter_files.HIDDEN, "num_attention_heads": 4, "num_key_value_heads": 2}


@dataclass
class RealScene(Scene):
    """Pods with real agents."""

    vllms: tuple[Vllm, ...] = ()
    files: Path = Path()


@asynccontextmanager
async def real_scene(
    server: ApiServer, cluster: KubeCluster, namespace: str, folder: Path
) -> AsyncIterator[RealScene]:
    crds.install(server)
    lora.base_model(folder / "base", weights=False, **BASE)
    files = adapter_files.write_all(folder / "files")
    async with AsyncExitStack() as stack:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        pods = await stack.enter_async_context(FakePods(server, namespace, SERVER, port=port))
        token = folder / "token"
        token.write_text(pods.token)
        token.chmod(0o600)
        vllms = []
        for number in range(PODS):
            pod = await pods.add(listens=False)
            vllm = await stack.enter_async_context(Vllm(Settings(max_lora_rank=8)))
            settings = AdapterAgentSettings(
                listen=f"{pod.address}:{port}",
                token_file=token,
                adapters_dir=folder / f"adapters-{number}",
                engine_url=vllm.url,
                base_models="tiny",
                base_model_dir=folder / "base",
                max_lora_rank=8,
                local_roots=str(files),
            )
            await stack.enter_async_context(serve("adapter-agent", settings, build))
            vllms.append(vllm)
        made = RealScene(server, cluster, namespace, pods, tuple(vllms), files)
        await made.make_server(maxLoraRank=8)
        await stack.enter_async_context(adapter_process(server, namespace, port, folder / "log"))
        yield made


async def test_good_files_are_served_and_bad_ones_reach_no_engine(
    server: ApiServer, cluster: KubeCluster, namespace: str, tmp_path: Path
) -> None:
    async with real_scene(server, cluster, namespace, tmp_path) as scene:
        bad = {
            "corrupt": ("SourceResolved", "UnsafeFormat"),
            "missing": ("SourceResolved", "NotFound"),
            "noconfig": ("SourceResolved", "NotFound"),
            "rank64": ("Compatible", "RankTooHigh"),
            "shape": ("Compatible", "ShapeMismatch"),
        }
        await scene.make("good", str(scene.files / "a1"))
        for name in bad:
            await scene.make(name, str(scene.files / "bad" / name))
        status = await scene.until_ready("good")
        for name, (condition, reason) in bad.items():
            found = await scene.until_condition(name, condition, reason, "False")
            assert found["message"]
            await scene.until_condition(name, "Ready", reason, "False")
        weights = (scene.files / "a1" / "adapter_model.safetensors").read_bytes()
        assert status["resolved"]["digest"] == lora.digest(weights)
        assert status["resolved"]["rank"] == 8
        assert [set(vllm.adapters) for vllm in scene.vllms] == [{status["engineName"]}] * PODS
        assert [vllm.engine.counts["loads_folder"] for vllm in scene.vllms] == [1] * PODS

        await scene.vllms[0].restart()
        await scene.pods.restart(scene.pods[0])
        await scene.until("good", lambda found: scene.vllms[0].adapters and found["loaded"] == "2/2")
        await scene.change("good", revision="2", source={"local": {"path": str(scene.files / "a2")}})
        swapped = await scene.until_ready("good", "2")
        assert swapped["engineName"] != status["engineName"]
        await scene.delete("good")
        await scene.until_gone("good")
        assert [set(vllm.adapters) for vllm in scene.vllms] == [set()] * PODS
