"""Adapters on fake pods in a real API server, as tests speak of them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from doubles.agent import Settings
from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.objects.model_server import ModelServer
from sluice_operator.cluster.kube import KubeCluster
from sluice_operator.cluster.resources import resource_of
from support.adapter_operator import adapter_process
from support.api_server import ApiServer
from support.fake_pods import FakePods
from support.waiting import until

ADAPTERS, SERVERS = resource_of(LoRAAdapter), resource_of(ModelServer)
SERVER = "vllm"

Json = dict[str, Any]


@dataclass
class Scene:
    """A namespace with a model server and pods."""

    server: ApiServer
    cluster: KubeCluster
    namespace: str
    pods: FakePods

    async def make_server(self, **lora: int) -> None:
        """The `ModelServer` whose replicas the pods are."""
        spec = {
            "baseModel": "tiny",
            "vllm": {"image": "vllm", "replicas": len(self.pods), "lora": {"maxCpuLoras": 16, **lora}},
        }
        await self._create("ModelServer", SERVER, spec)

    async def make(self, name: str, path: str = "", **spec: Any) -> None:
        """An adapter; its alias is its name unless the spec says otherwise."""
        given = {
            "modelServerRef": SERVER,
            "modelName": name,
            "revision": "1",
            "source": {"local": {"path": path or f"/models/{name}"}},
            "load": {"backoff": "500ms", "maxBackoff": "1s"},
            "deletion": {"drain": "0s", "timeout": "30s"},
            "rollbackWindow": "0s",
        }
        await self._create("LoRAAdapter", name, {**given, **spec})

    async def change(self, name: str, **spec: Any) -> None:
        """Another spec, as a person would change it."""
        await self.kubectl("patch", "lora", name, "--type=merge", "-p", json.dumps({"spec": spec}))

    async def delete(self, name: str) -> None:
        """Asks for a deletion, and does not wait for it."""
        await self.kubectl("delete", "lora", name, "--wait=false")

    async def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """What kubectl prints."""
        return await asyncio.to_thread(
            self.server.kubectl, "--namespace", self.namespace, *arguments, stdin=stdin
        )

    async def status(self, name: str) -> Json:
        """An adapter's status; empty while it has none."""
        found = await self.cluster.get(ADAPTERS, self.namespace, name)
        return dict((found or {}).get("status") or {})

    async def until(self, name: str, holds: Callable[[Json], object]) -> Json:
        """The adapter's status once it is as it should be."""
        last: Json = {}

        async def so() -> Json | None:
            last.clear()
            last.update(await self.status(name))
            return last if last and holds(last) else None

        try:
            return await until(so)
        except AssertionError:
            raise AssertionError(f"{name}: {json.dumps(last, indent=1)}") from None

    async def until_condition(self, name: str, type_: str, reason: str, status: str = "") -> Json:
        """The condition, once it has a reason."""

        def holds(found: Json) -> bool:
            condition = condition_of(found, type_)
            return condition.get("reason") == reason and status in ("", condition["status"])

        return condition_of(await self.until(name, holds), type_)

    async def until_ready(self, name: str, revision: str = "1") -> Json:
        """The status once the revision is in rotation and loaded wherever it ought to be."""
        return await self.until(
            name,
            lambda found: (
                condition_of(found, "Ready").get("status") == "True"
                and condition_of(found, "Loaded").get("status") == "True"
                and found.get("revision") == revision
            ),
        )

    async def until_gone(self, name: str) -> None:
        """Returns once the object is no more."""

        async def gone() -> bool:
            return await self.cluster.get(ADAPTERS, self.namespace, name) is None

        await until(gone)

    async def until_loaded(self, wanted: Callable[[set[str]], object]) -> None:
        """Returns once every pod's engine lists what it should."""

        async def so() -> bool:
            return all(wanted(pod.agent.loaded) for pod in self.pods.pods)

        try:
            await until(so)
        except AssertionError:
            listed = {pod.name: sorted(pod.agent.loaded) for pod in self.pods.pods}
            raise AssertionError(json.dumps(listed, indent=1)) from None

    async def _create(self, kind: str, name: str, spec: Mapping[str, Any]) -> None:
        manifest = {
            "apiVersion": "sluice.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": spec,
        }
        await self.kubectl("create", "-f", "-", stdin=json.dumps(manifest))


@asynccontextmanager
async def scene(
    server: ApiServer,
    cluster: KubeCluster,
    namespace: str,
    count: int,
    lora: Mapping[str, int] = MappingProxyType({}),
    settings: Settings = Settings(),  # noqa: B008 - frozen
) -> AsyncIterator[Scene]:
    """A model server with so many pods, for the length of the block."""
    async with FakePods(server, namespace, SERVER, count, settings=settings) as pods:
        made = Scene(server, cluster, namespace, pods)
        await made.make_server(**lora)
        yield made


@dataclass(frozen=True, slots=True)
class Place:
    """Where a test's scene is."""

    server: ApiServer
    cluster: KubeCluster
    namespace: str
    log: Path
    """What the operator logs."""

    @asynccontextmanager
    async def scene(self, count: int = 10, **lora: int) -> AsyncIterator[Scene]:
        """Pods, and an operator that runs: as a process, since kopf at its end cancels all tasks of its loop, those of
        gRPC's servers included."""
        async with (
            scene(self.server, self.cluster, self.namespace, count, lora) as made,
            adapter_process(self.server, self.namespace, made.pods.port, self.log),
        ):
            yield made


def condition_of(status: Json, type_: str) -> Json:
    """A condition; empty where there is none."""
    return next((each for each in status.get("conditions") or () if each["type"] == type_), {})
