"""An API server, pods with agents in one process, an operator in another, and a client."""

import asyncio
import json
import os
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil
from kubernetes.aio import client, config

from sluice_api.objects.base import API_VERSION
from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.objects.model_server import ModelServer
from sluice_operator.cluster.kube import KubeCluster
from sluice_operator.cluster.resources import SECRETS, resource_of
from sluice_operator.kinds.model_server import names
from support import crds
from support.api_server import ApiServer, api_server

NAMESPACE, SERVER = "bench", "vllm"
ADAPTERS, SERVERS = resource_of(LoRAAdapter), resource_of(ModelServer)
OPERATOR_AGENT = "sluice-operator"

_HERE = Path(__file__).parents[1]
_START_SECONDS = 180.0

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything."""

    adapters: int
    pods: int
    slots: int
    load_seconds: float


@dataclass
class Operator:
    """The process that is measured."""

    process: asyncio.subprocess.Process
    metrics: str
    started: float = field(default_factory=time.monotonic)

    @property
    def rss(self) -> int:
        """Bytes."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    @property
    def cpu(self) -> float:
        """Seconds, user and system."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    async def counted(self, name: str) -> float:
        """The sum over all labels of a counter of its `/metrics`."""
        text = await asyncio.to_thread(_read, self.metrics)
        lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith(name))
        return sum(float(value) for given, _, value in lines if given[len(name) : len(name) + 1] in ("", "{"))


class World:
    """`async with World(sizes) as world`: an API server with a `ModelServer`; see `operator` and `start_pods`."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.server: ApiServer
        self.cluster: KubeCluster
        self._pods: asyncio.subprocess.Process
        self._port = _free_port()
        self._log = Path(tempfile.mkdtemp(prefix="sluice-bench-")) / "operator.log"
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._build()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def _build(self) -> None:
        self.server = await asyncio.to_thread(self._stack.enter_context, api_server(reads=True))
        await asyncio.to_thread(crds.install, self.server)
        await asyncio.to_thread(self.server.kubectl, "create", "namespace", NAMESPACE)
        configuration = client.Configuration()
        await config.load_kube_config(str(self.server.kubeconfig), client_configuration=configuration)
        api = await self._stack.enter_async_context(client.ApiClient(configuration))
        self.cluster = KubeCluster(api)
        await self.cluster.apply(SERVERS, model_server(SERVER, self.sizes.slots))

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    @asynccontextmanager
    async def operator(self, profile: str = "", **settings: object) -> AsyncIterator[Operator]:
        """An operator for the length of the block, which begins once it works."""
        port = _free_port()
        given = {
            "kubeconfig": self.server.kubeconfig,
            "namespaces": json.dumps([NAMESPACE]),
            "metrics_listen": f"127.0.0.1:{port}",
            "agent_port": self._port,
            "log_level": "WARNING",
            "log_format": "text",
            "bench_profile": profile,
            **settings,
        }
        variables = {f"SLUICE_{name.upper()}": str(value) for name, value in given.items() if value != ""}
        with self._log.open("ab") as log:
            process = await _process("operating.subject", variables, stderr=log)
        operator = Operator(process, f"http://127.0.0.1:{port}/metrics")
        try:
            await until(lambda: _answers(operator), _START_SECONDS)
            yield operator
        finally:
            await _end(process)

    async def ask_pods(self, command: str) -> Any:
        """A command of `python -m doubles.agent`, and what it answers."""
        assert self._pods.stdin is not None
        assert self._pods.stdout is not None
        self._pods.stdin.write(f"{command}\n".encode())
        return json.loads(await self._pods.stdout.readline())

    def log_tail(self) -> str:
        """The end of the operator's log."""
        return self._log.read_text(errors="replace")[-3000:]

    async def start_pods(self) -> None:
        """The pods, once an operator has made the Secret with their agents' token."""
        await until(self._has_secret, _START_SECONDS)
        sizes = self.sizes
        options = {
            "kubeconfig": self.server.kubeconfig,
            "namespace": NAMESPACE,
            "model-server": SERVER,
            "pods": sizes.pods,
            "port": self._port,
            "max-cpu-loras": sizes.slots,
            "load-seconds": sizes.load_seconds,
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        self._pods = await _process("doubles.agent", {}, *arguments, pipes=True)
        self._stack.push_async_callback(_end, self._pods)
        assert self._pods.stdout is not None
        async with asyncio.timeout(_START_SECONDS):
            await self._pods.stdout.readline()

    async def _has_secret(self) -> bool:
        return await self.cluster.get(SECRETS, NAMESPACE, names.agent_secret(SERVER)) is not None


def model_server(name: str, slots: int) -> Json:
    """Without pods of its own: those of the bench have its label."""
    vllm = {"image": "vllm", "replicas": 0, "lora": {"maxLoras": 4, "maxCpuLoras": slots}}
    return _object("ModelServer", name, {"baseModel": "tiny", "vllm": vllm})


def external_server(name: str) -> Json:
    """One whose adapters are placed nowhere."""
    return _object(
        "ModelServer", name, {"baseModel": "tiny", "external": {"urls": ["http://127.0.0.1:9/v1"]}}
    )


def adapter(name: str, server: str = SERVER) -> Json:
    """On one pod."""
    spec = {
        "modelServerRef": server,
        "modelName": name,
        "revision": "1",
        "source": {"local": {"path": f"/models/{name}"}},
        "placement": {"strategy": "Spread", "replicas": 1},
        "deletion": {"drain": "0s", "timeout": "30s"},
        "rollbackWindow": "0s",
    }
    return _object("LoRAAdapter", name, spec)


async def until(holds: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Returns once it holds; looks four times a second.

    Raises:
        TimeoutError: it does not after `seconds`.
    """
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - other processes bring it about
            await asyncio.sleep(0.25)


def _object(kind: str, name: str, spec: Json) -> Json:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


async def _answers(operator: Operator) -> bool:
    if operator.process.returncode is not None:
        raise RuntimeError(f"the operator has ended with {operator.process.returncode}")
    try:
        return bool(await asyncio.to_thread(_read, operator.metrics))
    except OSError:
        return False


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as reply:
        return str(reply.read().decode())


async def _process(
    module: str, variables: dict[str, str], *arguments: str, pipes: bool = False, stderr: Any = None
) -> asyncio.subprocess.Process:
    path = os.pathsep.join([str(_HERE.parent / "tests"), str(_HERE)])
    command: Sequence[str] = (sys.executable, "-m", module, *arguments)
    pipe = asyncio.subprocess.PIPE if pipes else asyncio.subprocess.DEVNULL
    environment = {**os.environ, "PYTHONPATH": path, **variables}
    return await asyncio.create_subprocess_exec(
        *command, env=environment, stdin=pipe, stdout=pipe, stderr=stderr
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(60):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
