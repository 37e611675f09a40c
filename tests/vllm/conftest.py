"""One real vLLM for all of these tests, and Sluice's inference service before it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sluice_api.objects.model_server import External, ModelServerSpec
from sluice_api.snapshot import Snapshot
from sluice_inference.service import build
from sluice_servicekit.grpc_server import serving
from sluice_servicekit.service import ServiceContext
from sluice_servicekit.settings import ServiceSettings
from sluice_servicekit.snapshots import Snapshots
from support import real_vllm
from support.real_vllm import RealVllm


@pytest.fixture(scope="session")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealVllm]:
    """The server. A test loads adapters under names of its own, and unloads them."""
    with real_vllm.serving(tmp_path_factory.mktemp("vllm")) as server:
        yield server


@pytest.fixture
async def inference(vllm: RealVllm, tmp_path: Path) -> AsyncIterator[str]:
    """The address of a real inference service whose ModelServer `vllm` is that server."""
    (tmp_path / "vllm-key").write_text(real_vllm.KEY)
    external = External(urls=(f"{vllm.url}/v1",), api_key_secret="vllm-key")
    servers = {"vllm": ModelServerSpec(base_model=real_vllm.MODEL, external=external)}
    settings = ServiceSettings(data_dir=tmp_path, secrets_dir=tmp_path)
    snapshots = Snapshots()
    async with build(ServiceContext(settings, snapshots)) as servicers:
        snapshot = Snapshot(model_servers=servers)
        assert await snapshots.take(snapshot.digest, snapshot.content) == ""
        async with serving(servicers) as address:
            yield address
