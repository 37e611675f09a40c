"""Pods of a model server that nobody runs: objects in an API server whose status this module writes in kubelet's place,
and for each an agent's double that listens on the pod's IP.

The IPs are of 127.0.0.0/8, all of which Linux accepts; every agent listens on the same port, as in a cluster.
"""

import base64
import itertools
import random
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

from kubernetes.aio import client, config

from doubles.agent import AgentDouble, Catalogue, Settings
from sluice_operator.cluster.kube import KubeCluster
from sluice_operator.cluster.protocol import Cluster, Manifest
from sluice_operator.cluster.resources import PODS, SECRETS
from sluice_operator.kinds.model_server import layout, names
from sluice_operator.reconciling.labels import MODEL_SERVER
from support.api_server import ApiServer
from support.fake_cluster import FakeCluster

USER_AGENT = "fake-pods"


@dataclass
class FakePod:
    """A pod, as its status says, and its agent."""

    name: str
    address: str
    agent: AgentDouble
    uid: str = ""
    restarts: int = 0
    ready: bool = True


@dataclass
class FakePods:
    """`async with FakePods(server, "ns", "vllm", count=10) as pods`: so many pods for the length of the block.

    Args:
        server: A real API server, or one in memory.
        namespace: There already.
        model_server: The name of the `ModelServer` whose replicas they are.
        count: How many there are at first.
        port: That all agents listen on; 0 takes a free one.
        settings: Of the agents. Their token is taken from the Secret `<model server>-adapter-agent`, which is made
            where it is not there.
        catalogue: What lies at the sources.
        adopt: Takes the pods that the cluster has made for the model server, and makes none; see `adopt`.
    """

    server: ApiServer | FakeCluster
    namespace: str
    model_server: str
    count: int = 0
    port: int = 0
    settings: Settings = field(default_factory=Settings)
    catalogue: Catalogue = field(default_factory=Catalogue)
    pods: list[FakePod] = field(default_factory=list)
    """Those that are there, the oldest first."""
    token: str = ""
    _numbers: Any = field(default_factory=lambda: itertools.count(1))
    _network: str = field(default_factory=lambda: f"127.{random.randint(10, 250)}")
    _cluster: Any = None
    _closing: Any = None

    async def __aenter__(self) -> Self:
        self._closing = _cluster(self.server)
        self._cluster = await self._closing.__aenter__()
        self.token = await self._shared_token()
        for _ in range(self.count):
            await self.add()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pod in self.pods:
            await pod.agent.stop()
            pod.agent.state.close()
        await self._closing.__aexit__(kind, error, trace)

    def __getitem__(self, index: int) -> FakePod:
        return self.pods[index]

    def __len__(self) -> int:
        return len(self.pods)

    async def add(
        self, *, ready: bool = True, listens: bool = True, labels: Mapping[str, str] | None = None
    ) -> FakePod:
        """One pod more.

        Args:
            ready: The engine's readiness probe passes.
            listens: The double does; else the address and `port` are there for another agent.
            labels: Besides the model server's.
        """
        name = f"{names.child(self.model_server)}-{next(self._numbers)}-{secrets.token_hex(3)}"
        made = await self._cluster.apply(PODS, self._manifest(name, labels or {}))
        return await self._run(made, ready=ready, listens=listens)

    async def adopt(self, made_for: Callable[[Manifest], bool] = lambda pod: True) -> list[FakePod]:
        """Runs the pods that others have made for the model server and that do not run yet; gives those."""
        known = {pod.uid for pod in self.pods}
        found = await self._cluster.list(PODS, self.namespace, {MODEL_SERVER: names.label(self.model_server)})
        new = [pod for pod in found if pod["metadata"]["uid"] not in known and made_for(pod)]
        return [await self._run(pod, ready=True) for pod in new]

    async def replace(self, pod: FakePod) -> FakePod:
        """Deletes a pod; another takes its place, with another name and address, nothing loaded and no files."""
        await self.remove(pod)
        return await self.add()

    async def restart(self, pod: FakePod) -> None:
        """Restarts the engine's container: nothing is loaded, the files are still there."""
        pod.agent.restart_engine()
        pod.restarts += 1
        await self._tell(pod)

    async def move(self, pod: FakePod, address: str) -> None:
        """Says that the pod has another address, where somebody else may listen."""
        pod.address = address
        await self._tell(pod)

    async def cut_off(self, pod: FakePod) -> None:
        """Nobody reaches the agent any more: connections are refused, and the pod's status says nothing of it."""
        await pod.agent.stop()

    async def reconnect(self, pod: FakePod) -> None:
        """The agent can be reached again, and has what it had."""
        await pod.agent.start()

    async def remove(self, pod: FakePod) -> None:
        """Deletes a pod for good."""
        self.pods.remove(pod)
        await pod.agent.stop()
        await self._cluster.delete(PODS, self.namespace, pod.name, uid=pod.uid)

    async def set_ready(self, pod: FakePod, *, ready: bool) -> None:
        """Whether the engine's readiness probe passes."""
        pod.ready = ready
        await self._tell(pod)

    async def _run(self, made: Manifest, *, ready: bool, listens: bool = True) -> FakePod:
        number = next(self._numbers)
        address = f"{self._network}.{number // 250}.{number % 250 + 1}"
        settings = replace(self.settings, token=self.token)
        agent = AgentDouble(settings, self.catalogue, host=address, port=self.port)
        if listens:
            await agent.start()
            self.port = agent.port
        pod = FakePod(made["metadata"]["name"], address, agent, made["metadata"]["uid"], ready=ready)
        self.pods.append(pod)
        await self._tell(pod)
        return pod

    async def _shared_token(self) -> str:
        name = names.agent_secret(self.model_server)
        found = await self._cluster.get(SECRETS, self.namespace, name)
        if found is None:
            made = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": self.namespace},
                "data": {layout.TOKEN_KEY: _base64(secrets.token_hex(32))},
            }
            found = await self._cluster.apply(SECRETS, made)
        return _from_base64(found["data"][layout.TOKEN_KEY])

    async def _tell(self, pod: FakePod) -> None:
        await self._cluster.apply_status(
            PODS,
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": pod.name, "namespace": self.namespace},
                "status": _status(pod),
            },
        )

    def _manifest(self, name: str, labels: Mapping[str, str]) -> Manifest:
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": {MODEL_SERVER: names.label(self.model_server), **labels},
            },
            "spec": {
                "containers": [
                    {"name": layout.ENGINE, "image": "vllm"},
                    {"name": layout.AGENT, "image": "agent"},
                ]
            },
        }


def _status(pod: FakePod) -> dict[str, Any]:
    ready = "True" if pod.ready else "False"
    return {
        "phase": "Running",
        "podIP": pod.address,
        "podIPs": [{"ip": pod.address}],
        "conditions": [{"type": kind, "status": ready} for kind in ("ContainersReady", "Ready")],
        "containerStatuses": [
            {
                "name": name,
                "image": name,
                "imageID": name,
                "ready": pod.ready or name != layout.ENGINE,
                "restartCount": pod.restarts if name == layout.ENGINE else 0,
                "state": {"running": {}},
            }
            for name in (layout.ENGINE, layout.AGENT)
        ],
    }


class _Client(client.ApiClient):  # type: ignore[misc]
    """Tells its writes from the operator's in the audit log."""

    async def update_params_for_auth(self, headers: dict[str, str], *args: Any, **options: Any) -> None:
        await super().update_params_for_auth(headers, *args, **options)
        headers["User-Agent"] = USER_AGENT


@asynccontextmanager
async def _cluster(server: ApiServer | FakeCluster) -> AsyncIterator[Cluster]:
    if isinstance(server, FakeCluster):
        yield server
        return
    configuration = client.Configuration()
    await config.load_kube_config(str(server.kubeconfig), client_configuration=configuration)
    async with _Client(configuration) as api:
        yield KubeCluster(api)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _from_base64(text: str) -> str:
    return base64.b64decode(text).decode().strip()
