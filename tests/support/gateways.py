"""Real gateways as processes, over doubles of the services."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from support.running import START_SECONDS, until
from support.service_doubles import Doubles

_TESTS = Path(__file__).parents[1]


@dataclass
class GatewayProcess:
    """One gateway."""

    data: Path
    process: subprocess.Popen[str]
    http: httpx.AsyncClient

    async def start_run(self, text: str) -> str:
        """Starts a run in the background."""
        body = {"model": "default", "messages": [{"role": "user", "content": text}]}
        reply = await self.http.post("/v1/runs", json=body)
        assert reply.status_code == 202, reply.text
        assert reply.headers["location"] == f"/v1/runs/{reply.json()['run_id']}"
        return reply.json()["run_id"]

    async def post(self, path: str, **body: Any) -> httpx.Response:
        """A call of the API."""
        return await self.http.post(path, json=body)

    async def run(self, run_id: str) -> dict[str, Any]:
        """A run, as this gateway has it."""
        return (await self.http.get(f"/v1/runs/{run_id}")).raise_for_status().json()

    async def ended(self, run_id: str, seconds: float = 60.0) -> dict[str, Any]:
        """The run, once this gateway's journal has its end."""
        async with asyncio.timeout(seconds):
            while True:
                reply = await self.http.get(f"/v1/runs/{run_id}")
                if reply.status_code == 200 and reply.json()["ended"]:
                    return reply.json()
                await asyncio.sleep(0.1)

    async def says(self, text: str) -> None:
        """Waits until it has logged a text."""
        log = self.data / "gateway.log"
        await asyncio.to_thread(until, lambda: text in log.read_text(), 60, f"the gateway says {text!r}")

    def signal(self, signum: int) -> None:
        """Sends it a signal."""
        self.process.send_signal(signum)

    async def kill(self) -> None:
        """Kills it, as the kernel does when memory runs out."""
        self.process.kill()
        await asyncio.to_thread(self.process.wait)


def shared_keys(folder: Path) -> dict[str, str]:
    """Has replicas use one key for the journal and one for payloads, as they must on one database."""
    return {f"SLUICE_{name.upper()}_KEY_FILE": str(folder / f"{name}.key") for name in ("journal", "payload")}


@asynccontextmanager
async def gateway(
    data: Path, services: Doubles, *, url: str = "", version: str = "1", **settings: str
) -> AsyncIterator[GatewayProcess]:
    """A gateway for the length of the block, ready to answer and to execute runs."""
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")},
        **{f"SLUICE_{name}_ADDRESS": services.address for name in ("GUARDRAIL", "RETRIEVER", "RERANKER")},
        "SLUICE_INFERENCE_ADDRESS": services.address,
        "SLUICE_SNAPSHOT_ADDRESS": services.address,
        "SLUICE_DATA_DIR": str(data),
        "SLUICE_HTTP_LISTEN": f"127.0.0.1:{port}",
        "SLUICE_DATABASE_URL": url,
        "SLUICE_DRAIN_SECONDS": "1",
        "PYTHONPATH": str(_TESTS),
        **shared_keys(data.parent),
        **{f"SLUICE_{name.upper()}": value for name, value in settings.items()},
    }
    process = _spawn(data, environment, version)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20.0, verify=False) as http:
            running = GatewayProcess(data, process, http)
            await _until_serves(running)
            yield running
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, 20)
            except subprocess.TimeoutExpired:
                process.kill()


async def _until_serves(running: GatewayProcess) -> None:
    latest = time.monotonic() + START_SECONDS
    while True:
        assert running.process.poll() is None, (running.data / "gateway.log").read_text()[-4000:]
        assert time.monotonic() < latest, (running.data / "gateway.log").read_text()[-4000:]
        try:
            ready = (await running.http.get("/readyz")).status_code == 200
            # A run that there is not: 503 while durable runs are starting, 404 once they can be asked for.
            asked = await running.http.post("/v1/runs/00000000-0000-7000-8000-000000000000/cancel")
            if ready and asked.status_code == 404:
                return
        except httpx.HTTPError:
            pass
        await asyncio.sleep(0.05)


def _spawn(data: Path, environment: dict[str, str], version: str) -> subprocess.Popen[str]:
    data.mkdir(parents=True, exist_ok=True)
    with (data / "gateway.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, str(_TESTS / "support" / "gateway_process.py"), version],
            env=environment,
            stdout=log,
            stderr=log,
            text=True,
        )


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
