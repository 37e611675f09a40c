"""A real vLLM on this machine's processor, from the environment that `make test-vllm` builds."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from support import adapter_files

_CACHE = Path(__file__).parents[2] / ".cache" / "vllm"
_PYTHON = _CACHE / "venv" / "bin" / "python"

URL_VARIABLE = "VLLM_URL"
KEY = "vllm-key-of-the-tests"
MODEL = "tiny"

#: The recorded server's, but more slots than tests load adapters. On a processor vLLM 0.32 takes -1, which stands for
#: no adapter, for the last slot: what the base model writes beside adapters is wrong unless nothing ever was in that
#: slot (https://github.com/vllm-project/vllm/pull/48421).
_OPTIONS = (
    *("--model", MODEL, "--served-model-name", MODEL, "--max-model-len", "1024"),
    *("--enable-lora", "--max-loras", "64", "--max-cpu-loras", "64", "--max-lora-rank", "8"),
    *("--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
    # Sums do not depend on who is in the batch, nor do answers.
    *("--enforce-eager", "--dtype", "float32", "--api-key", KEY),
)
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
}

#: It takes one to two minutes on two cores that do nothing else.
START_SECONDS = 900.0


def is_there() -> bool:
    """True where the environment and the model have been made."""
    return (_CACHE / ".stamp").is_file() and (_CACHE / "model" / ".stamp").is_file()


@dataclass(frozen=True)
class RealVllm:
    """One server."""

    url: str
    """Without a path."""
    adapters: Path
    """A folder of `support.adapter_files`."""

    def http(self) -> httpx.Client:
        """A client with the key."""
        headers = {"authorization": f"Bearer {KEY}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=120.0, verify=False)

    def load(self, name: str, folder: Path) -> None:
        """Loads an adapter."""
        self._call("load", lora_name=name, lora_path=str(folder))

    def unload(self, *names: str) -> None:
        """Unloads adapters, those of them that are loaded."""
        with self.http() as http:
            served = {card["id"] for card in http.get("/v1/models").raise_for_status().json()["data"]}
        for name in sorted(served.intersection(names)):
            self._call("unload", lora_name=name)

    def metric(self, name: str) -> float:
        """One of its own metrics, summed over labels."""
        with self.http() as http:
            lines = http.get("/metrics").raise_for_status().text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"vllm:{name}{{"))

    def _call(self, what: str, **body: str) -> None:
        with self.http() as http:
            reply = http.post(f"/v1/{what}_lora_adapter", json=body)
        assert reply.status_code == 200, reply.text


@contextmanager
def serving(folder: Path) -> Iterator[RealVllm]:
    """A server for the length of the block; its log and the adapters are in `folder`. Where `VLLM_URL` names one that
    was started in this way, that one."""
    adapters = adapter_files.write_all(folder / "adapters")
    if url := os.environ.get(URL_VARIABLE):
        yield RealVllm(url, adapters)
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = folder / "vllm.log"
    command = [str(_PYTHON), "-m", "vllm.entrypoints.openai.api_server", *_OPTIONS]
    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=_CACHE / "model",
            env={**os.environ, **_ENVIRONMENT},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    server = RealVllm(f"http://127.0.0.1:{port}", adapters)
    try:
        _wait(server, process, log)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its own session: its workers and nothing else
            process.wait()


def _wait(server: RealVllm, process: subprocess.Popen[bytes], log: Path) -> None:
    latest = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, log.read_text()[-4000:]
        assert time.monotonic() < latest, log.read_text()[-4000:]
        try:
            if httpx.get(f"{server.url}/health", timeout=5.0, verify=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
