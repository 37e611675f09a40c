"""The reranker as a process of its own, by a snapshot server: its workers begin, rank and end with it."""

import asyncio
import re
import signal
import sys
from pathlib import Path

import psutil
import pytest

from sluice.common.v1 import common_pb2
from sluice.reranker.v1 import reranker_pb2, reranker_pb2_grpc
from sluice.snapshot.v1 import snapshot_pb2_grpc
from sluice_api.objects.pipeline import PipelineSpec
from sluice_api.snapshot import CompiledPipeline, Snapshot
from sluice_servicekit.channels import open_channel
from sluice_servicekit.errors import Unavailable
from sluice_servicekit.grpc_server import Servicer, serving
from sluice_servicekit.snapshot_server import Publisher, SnapshotServicer
from support import cross_encoders

#: Seconds for whatever a busy machine takes.
_PATIENCE = 90


def _snapshot(model: Path) -> Snapshot:
    spec = PipelineSpec.model_validate(
        {
            "knowledgeBaseRef": "kb",
            "guardrailPolicyRef": "policy",
            "steps": {
                "rerank": {"ranker": {"crossEncoder": {"path": str(model)}}},
                "generate": {"modelServerRef": "server"},
            },
        }
    )
    return Snapshot(pipelines={"default": CompiledPipeline(version="1", spec=spec)})


async def _port(process: asyncio.subprocess.Process) -> int:
    """Where it listens, by its log."""
    async with asyncio.timeout(_PATIENCE):
        async for line in process.stderr:
            if found := re.search(rb"listening on port (\d+)", line):
                return int(found[1])
    raise AssertionError("it has ended")


async def _ranked(address: str) -> reranker_pb2.RerankResponse:
    """Its answer, once it has its model: until then it takes no calls."""
    passages = [common_pb2.Passage(text=text) for text in ("poor", "best", "fair")]
    request = reranker_pb2.RerankRequest(query="which?", candidates=passages, pipeline="default")
    async with asyncio.timeout(_PATIENCE), open_channel(address) as channel:
        while True:
            try:
                return await reranker_pb2_grpc.RerankerServiceStub(channel).Rerank(request, timeout=_PATIENCE)
            except Unavailable:
                await asyncio.sleep(0.1)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_workers_end_with_the_reranker_however_it_ends(tmp_path, how):
    snapshots = Servicer(
        snapshot_pb2_grpc.add_SnapshotServiceServicer_to_server,
        SnapshotServicer(Publisher(_snapshot(cross_encoders.folder(tmp_path / "model")))),
        "sluice.snapshot.v1.SnapshotService",
    )
    async with serving([snapshots]) as address:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sluice_reranker",
            env={
                "SLUICE_SNAPSHOT_ADDRESS": address,
                "SLUICE_DATA_DIR": str(tmp_path / "data"),
                "SLUICE_RERANK_WORKERS": "1",
            },
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            response = await _ranked(f"127.0.0.1:{await _port(process)}")
            assert [ranked.index for ranked in response.ranked] == [1, 2, 0]
            assert response.scored == 3
            [worker] = [
                child
                for child in psutil.Process(process.pid).children()
                if "resource_tracker" not in " ".join(child.cmdline())
            ]
        finally:
            process.send_signal(how)
            async with asyncio.timeout(_PATIENCE):
                _, code = await asyncio.gather(process.communicate(), process.wait())
        assert code == (0 if how is signal.SIGTERM else -signal.SIGKILL)
    psutil.wait_procs([worker], timeout=_PATIENCE)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
