"""What is measured, each as near to a plain proxy before one upstream as it comes."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from proxying.load import Request
from proxying.processes import free_port, started
from sluice.snapshot.v1 import snapshot_pb2_grpc
from sluice_api.objects.guardrail_policy import GuardrailPolicySpec
from sluice_api.objects.knowledge_base import KnowledgeBaseSpec
from sluice_api.objects.model_server import External, ModelServerSpec
from sluice_api.objects.pipeline import Audit, PipelineSpec
from sluice_api.objects.steps import GenerateStep, Steps
from sluice_api.snapshot import CompiledPipeline, CompiledPolicy, Snapshot
from sluice_servicekit.grpc_server import Servicer, serving
from sluice_servicekit.snapshot_server import Publisher, SnapshotServicer
from support.running import running

PROJECT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
LITELLM = "litellm[proxy]==1.108.7"
QUESTION = "How long does the first kiln take, and what has to be done before it may be opened again?"


@dataclass
class Subject:
    """Something that answers, and its processes by name."""

    name: str
    request: Request
    processes: dict[str, psutil.Process] = field(default_factory=dict)
    measured: str = ""
    """The process whose CPU is compared; all where empty."""
    services: str = ""
    """Where its light services are."""


def body(model: str) -> dict[str, object]:
    """What every subject is asked."""
    return {"model": model, "messages": [{"role": "user", "content": QUESTION}]}


@contextmanager
def upstream(folder: Path) -> Iterator[Subject]:
    """The mock itself: the floor, and what stands behind all others."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {**_environment(), "PYTHONPATH": str(PROJECT / "bench")}
    command = [sys.executable, "-m", "proxying.upstream", str(port)]
    with started(command, environment, folder / "upstream.log", f"{url}/healthz") as process:
        yield Subject(
            "upstream alone", Request(f"{url}/v1/chat/completions", body("mock")), {"upstream": process}
        )


@contextmanager
def litellm(folder: Path, upstream_url: str) -> Iterator[Subject]:
    """LiteLLM's proxy with one worker; like ours without keys; no database, callbacks or telemetry, and prices from its
    own wheel."""
    python = _litellm_environment()
    port = free_port()
    config = folder / "litellm.yaml"
    config.write_text(f"""
model_list:
  - model_name: mock
    litellm_params: {{model: openai/mock, api_base: "{upstream_url}/v1", api_key: unused}}
litellm_settings: {{telemetry: false, num_retries: 0, request_timeout: 60}}
general_settings: {{disable_spend_logs: true, dangerously_permit_weak_or_unset_master_key: true}}
""")
    environment = {
        **_environment(),
        "HOME": str(folder),
        "LITELLM_LOG": "ERROR",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
        "LITELLM_DONT_SHOW_FEEDBACK_BOX": "True",
    }
    command = [python.with_name("litellm"), "--config", config, "--host", "127.0.0.1", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with started(
        [*command, "--num_workers", "1", "--telemetry", "False"],
        environment,
        folder / "litellm.log",
        f"{url}/health/liveliness",
    ) as process:
        yield Subject(
            LITELLM.replace("[proxy]==", " "),
            Request(f"{url}/v1/chat/completions", body("mock")),
            {"litellm": process},
        )


@contextmanager
def sluice_light(folder: Path, upstream_url: str) -> Iterator[Subject]:
    """The gateway and inference as they are; guardrail, retriever and reranker that do next to nothing, over gRPC in
    one process: no pipeline is without them, so the gateway makes all its seven calls."""
    ports = {name: free_port() for name in ("light", "inference", "gateway", "http")}
    light = f"127.0.0.1:{ports['light']}"
    with ExitStack() as stack:
        common = {
            **_environment(),
            "PYTHONPATH": str(PROJECT / "tests"),
            "SLUICE_SNAPSHOT_ADDRESS": stack.enter_context(_publishing(_snapshot(upstream_url))),
            "SLUICE_LOG_LEVEL": "WARNING",
        }
        processes = {}

        def start(name: str, command: list[str | Path], ready: str = "", **more: str) -> None:
            environment = {**common, "SLUICE_DATA_DIR": str(folder / name), **more}
            log = folder / f"{name}.log"
            processes[name] = stack.enter_context(started(command, environment, log, ready))

        start(
            "light services",
            [sys.executable, "-m", "support.light_services", light],
        )
        inference = f"127.0.0.1:{ports['inference']}"
        start("inference", [BIN / "sluice-inference"], SLUICE_LISTEN=inference)
        url = f"http://127.0.0.1:{ports['http']}"
        start(
            "gateway",
            [BIN / "sluice-gateway"],
            f"{url}/readyz",
            SLUICE_LISTEN=f"127.0.0.1:{ports['gateway']}",
            SLUICE_HTTP_LISTEN=f"127.0.0.1:{ports['http']}",
            SLUICE_GUARDRAIL_ADDRESS=light,
            SLUICE_RETRIEVER_ADDRESS=light,
            SLUICE_RERANKER_ADDRESS=light,
            SLUICE_INFERENCE_ADDRESS=inference,
        )
        yield Subject(
            "sluice, light services",
            Request(f"{url}/v1/chat/completions", body("default")),
            processes,
            measured="gateway",
            services=light,
        )


@contextmanager
def sluice_whole(folder: Path, upstream_url: str) -> Iterator[Subject]:
    """`sluice up` with the project's documents: gates, retrieval and reranking that do their work."""
    objects = folder / "objects"
    objects.mkdir()
    for source in (PROJECT / "examples" / "quickstart").glob("*.yaml"):
        text = source.read_text(encoding="utf-8")
        (objects / source.name).write_text(text.replace("modelServerRef: extractive", "modelServerRef: mock"))
    (objects / "mock.yaml").write_text(f"""
apiVersion: sluice.dev/v1alpha1
kind: ModelServer
metadata: {{name: mock}}
spec: {{baseModel: mock, external: {{urls: ["{upstream_url}/v1"]}}}}
""")
    with running(folder / "whole", "-f", str(objects)) as up:
        for file in sorted((PROJECT / "docs").glob("*.md"))[:6]:
            text = file.read_text(encoding="utf-8")
            up.ingest([{"id": file.name, "text": text, "media_type": "text/markdown"}])
        processes = {each["name"]: psutil.Process(each["pid"]) for each in up.record["processes"]}
        yield Subject(
            "sluice, whole loop",
            Request(f"{up.url}/v1/chat/completions", body("default")),
            processes,
            measured="gateway",
        )


def _snapshot(upstream_url: str) -> Snapshot:
    def pipeline(audit: Audit) -> CompiledPipeline:
        steps = Steps(generate=GenerateStep(model_server_ref="mock"))
        spec = PipelineSpec(
            knowledge_base_ref="default", guardrail_policy_ref="default", audit=audit, steps=steps
        )
        return CompiledPipeline(version="1", spec=spec)

    server = ModelServerSpec(base_model="mock", external=External(urls=(f"{upstream_url}/v1",)))
    return Snapshot(
        pipelines={"default": pipeline(Audit.REQUIRED), "unbound": pipeline(Audit.BEST_EFFORT)},
        guardrail_policies={"default": CompiledPolicy(version="1", spec=GuardrailPolicySpec())},
        knowledge_bases={"default": KnowledgeBaseSpec()},
        model_servers={"mock": server},
    )


@contextmanager
def _publishing(snapshot: Snapshot) -> Iterator[str]:
    """A snapshot server in a thread of this process; gives its address."""
    loop = asyncio.new_event_loop()
    stop, ready = asyncio.Event(), threading.Event()
    addresses: list[str] = []

    async def serve() -> None:
        servicer = Servicer(
            snapshot_pb2_grpc.add_SnapshotServiceServicer_to_server,
            SnapshotServicer(Publisher(snapshot)),
            "sluice.snapshot.v1.SnapshotService",
        )
        async with serving([servicer]) as address:
            addresses.append(address)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(30)
    try:
        yield addresses[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)


def _environment() -> Mapping[str, str]:
    """No key, no proxy setting, nothing of the caller's."""
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}


def _litellm_environment() -> Path:
    """An environment of its own, made when it is missing; it never becomes part of ours."""
    folder = PROJECT / ".cache" / "bench" / "litellm"
    python = folder / "bin" / "python"
    stamp = folder / ".installed"
    if not stamp.exists() or stamp.read_text() != LITELLM:
        uv = PROJECT / ".tools" / "bin" / "uv"
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, LITELLM], check=True)
        stamp.write_text(LITELLM)
    return python
