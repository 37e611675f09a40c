"""`sluice up` as a user starts it: real processes on a folder of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc
from openai import OpenAI

SLUICE = Path(sys.executable).with_name("sluice")
PROJECT = Path(__file__).parents[2]
QUICKSTART = PROJECT / "examples" / "quickstart"

#: Generous: two cores may be busy with other tests.
START_SECONDS = 180.0


@dataclass
class Running:
    """One `sluice up`."""

    data: Path
    process: subprocess.Popen[str]
    clients: list[OpenAI] = field(default_factory=list)
    key: str = ""
    """An API key, where it takes keys."""

    @property
    def record(self) -> dict[str, Any]:
        """What it says of itself."""
        return json.loads((self.data / "run" / "processes.json").read_text())

    @property
    def url(self) -> str:
        """The gateway's address."""
        return self.record["url"]

    def child(self, name: str) -> dict[str, Any]:
        """One of its processes."""
        return next(process for process in self.record["processes"] if process["name"] == name)

    def kill(self, name: str, signum: int = signal.SIGKILL) -> int:
        """Sends a process a signal; gives its id."""
        pid = self.child(name)["pid"]
        os.kill(pid, signum)
        return pid

    def openai(self, **options: Any) -> OpenAI:
        """A client that does not retry on its own; closed at the end."""
        key = self.key or "unused"
        self.clients.append(OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, **options))
        return self.clients[-1]

    def http(self, tenant: str = "", **options: Any) -> httpx.Client:
        """A plain client."""
        headers = {"x-sluice-tenant": tenant} if tenant else {}
        if self.key:
            headers["authorization"] = f"Bearer {self.key}"
        # Nothing here speaks TLS, and reading the certificates takes longer than an answer.
        return httpx.Client(base_url=self.url, headers=headers, timeout=30.0, verify=False, **options)

    def serves(self, name: str) -> bool:
        """True where a process answers calls."""
        if name == "gateway":
            return _ready(self)
        with grpc.insecure_channel(self.child(name)["address"]) as channel:
            try:
                reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=1)
            except grpc.RpcError:
                return False
        return reply.status == health_pb2.HealthCheckResponse.SERVING

    def ingest(self, documents: list[dict[str, Any]], tenant: str = "") -> None:
        """Stores documents; all must be accepted."""
        with self.http(tenant) as http:
            reply = http.post("/v1/knowledge/default/documents", json={"documents": documents})
        answer = reply.json()  # with more where a document is flagged
        assert (answer["accepted"], answer["failed"]) == (len(documents), [])

    def run(self, run_id: str, tenant: str = "") -> dict[str, Any]:
        """A run as the journal has it."""
        with self.http(tenant) as http:
            return http.get(f"/v1/runs/{run_id}").raise_for_status().json()

    def runs(self) -> list[dict[str, Any]]:
        """The newest runs."""
        with self.http() as http:
            return http.get("/v1/runs").raise_for_status().json()["runs"]

    def stop(self) -> str:
        """Ends it as Ctrl-C does; gives what it printed."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.communicate(timeout=30)[0]
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


@contextmanager
def running(data: Path, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[Running]:
    """`sluice up` for the length of the block, ready to answer."""
    objects = () if "-f" in options else ("-f", str(QUICKSTART))
    process = subprocess.Popen(
        [SLUICE, "up", *objects, "--data", data, "--listen", "127.0.0.1:0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=data.parent,
        env={**os.environ, **(environment or {})},
    )
    up = Running(data, process)
    try:
        until(lambda: process.poll() is not None or _ready(up), START_SECONDS, "sluice up is ready")
        assert process.poll() is None, f"sluice up ended: {process.communicate()[0]}"
        yield up
    finally:
        for client in up.clients:
            client.close()
        if process.poll() is None:
            up.stop()


def sluice(
    *arguments: str | Path,
    cwd: Path | None = None,
    timeout: float = 180,
    input: str = "",  # noqa: A002
) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    return subprocess.run(
        [SLUICE, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        timeout=timeout,
        input=input,
    )


def completions(line: str, environment: Mapping[str, str]) -> list[str]:
    """What bash is offered at the end of a line."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), "_SLUICE_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [SLUICE],
        env={**os.environ, **words, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.stderr == ""
    return done.stdout.split()


def until(holds: Callable[[], object], seconds: float, what: str) -> float:
    """Waits until something holds; gives the seconds it took."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - started


def _ready(up: Running) -> bool:
    try:
        return httpx.get(f"{up.url}/readyz", timeout=5.0).status_code == 200
    except (OSError, ValueError, httpx.HTTPError):
        return False
