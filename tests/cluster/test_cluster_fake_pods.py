"""Fake pods in a real API server: what the operator sees of them."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.v1 import adapters_pb2 as pb
from sluice.adapters.v1.adapters_pb2_grpc import AdapterAgentServiceStub
from sluice_operator.cluster.kube import KubeCluster
from sluice_operator.cluster.resources import PODS
from sluice_operator.kinds.model_server import layout
from sluice_operator.reconciling.labels import MODEL_SERVER
from sluice_servicekit.channels import open_channel
from support.api_server import ApiServer
from support.fake_pods import FakePod, FakePods

pytestmark = pytest.mark.needs("cluster")

SOURCE = pb.Source(local=pb.LocalSource(path="/models/a"))


async def loaded(pods: FakePods, pod: FakePod, name: str) -> None:
    headers = [("authorization", f"Bearer {pods.token}")]
    async with open_channel(f"{pod.address}:{pods.port}") as channel:
        stub: Any = AdapterAgentServiceStub(channel)
        request = pb.ResolveRequest(source=SOURCE)
        adapter = [each async for each in stub.Resolve(request, metadata=headers, timeout=60)][-1].adapter
        load = pb.LoadRequest(name=name, digest=adapter.digest, config_digest=adapter.config_digest)
        await stub.Load(load, metadata=headers, timeout=60)


def of_engine(pod: Any) -> Any:
    return next(each for each in pod["status"]["containerStatuses"] if each["name"] == layout.ENGINE)


async def test_pods_have_addresses_restart_and_are_replaced(
    server: ApiServer, cluster: KubeCluster, namespace: str
) -> None:
    async with FakePods(server, namespace, "vllm", count=3) as pods:
        listed = await cluster.list(PODS, namespace, {MODEL_SERVER: "vllm"})
        assert {each["status"]["podIP"] for each in listed} == {pod.address for pod in pods.pods}
        assert all(of_engine(each)["ready"] for each in listed)

        await loaded(pods, pods[0], "a--1")
        assert pods[0].agent.loaded == {"a--1"}
        await pods.restart(pods[0])
        found = await cluster.get(PODS, namespace, pods[0].name)
        assert of_engine(found)["restartCount"] == 1
        assert pods[0].agent.loaded == set()
        assert len(pods[0].agent.state.here) == 1

        old = pods[1]
        new = await pods.replace(old)
        names = {each["metadata"]["name"] for each in await cluster.list(PODS, namespace)}
        assert names == {pod.name for pod in pods.pods}
        assert old.name not in names
        assert new.address != old.address


async def test_they_run_as_a_process(server: ApiServer, cluster: KubeCluster, namespace: str) -> None:
    where = Path(__file__).parents[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "doubles.agent", "--kubeconfig", str(server.kubeconfig)),
        *("--namespace", namespace, "--model-server", "vllm", "--pods", "3", "--port", "0"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(where)},
    )
    assert process.stdin
    assert process.stdout
    try:
        told = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
        assert len(told["pods"]) == 3
        process.stdin.write(b"replace 0\n")
        new = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))["pod"]
        names = {each["metadata"]["name"] for each in await cluster.list(PODS, namespace)}
        assert names == {new, *(pod["name"] for pod in told["pods"][1:])}
    finally:
        process.terminate()
        await process.wait()
    assert process.returncode == 0
