"""One real API server for all tests of a process; a namespace of its own for each test."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
from kubernetes.aio import client, config

from sluice_operator.cluster.kube import KubeCluster
from support.api_server import ApiServer, api_server


@pytest.fixture(scope="session")
def server() -> Iterator[ApiServer]:
    with api_server() as started:
        yield started


@pytest.fixture
async def cluster(server: ApiServer) -> AsyncIterator[KubeCluster]:
    configuration = client.Configuration()
    await config.load_kube_config(str(server.kubeconfig), client_configuration=configuration)
    async with client.ApiClient(configuration) as api:
        yield KubeCluster(api)


@pytest.fixture
async def namespace(server: ApiServer) -> AsyncIterator[str]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    await asyncio.to_thread(server.kubectl, "create", "namespace", name)
    yield name
    await asyncio.to_thread(server.kubectl, "delete", "namespace", name, "--wait=false", check=False)
