"""A real gateway with real services, and a double of vLLM behind them, for tests that block."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support import handbook
from support.model_server import Call, ModelServer, serving
from support.running import PROJECT, Running, running

KEY = "sluice-key-of-the-clients-tests"
QUESTION = handbook.questions()[0].text

#: What clients offer, and what the model then calls.
TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather of a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city"],
            },
        },
    }
]
CALL = Call("get_weather", ('{"city": ', '"Lisbon", ', '"days": 2}'))
ARGUMENTS = {"city": "Lisbon", "days": 2}


@dataclass
class Serving:
    """What clients talk to."""

    up: Running
    model_server: ModelServer
    """What writes the answers; as new for each test."""

    @property
    def base_url(self) -> str:
        return f"{self.up.url}/v1"

    @property
    def asked(self) -> list[dict[str, Any]]:
        """Bodies that the model server was sent."""
        return self.model_server.requests


@contextmanager
def in_a_thread(server: ModelServer) -> Iterator[None]:
    """Serves on a loop of its own: the clients' tests block."""
    loop = asyncio.new_event_loop()
    ready, ending = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with serving(server):
            ready.set()
            await ending.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join()
        loop.close()


def _write_objects(folder: Path, url: str) -> Path:
    """The `examples/vllm` objects, pipelines `windowed` and `detected` of other ways to stream, `quoting` that needs no
    model, and an adapter for questions in French."""
    folder.mkdir()
    found = {}
    for source in sorted((PROJECT / "examples" / "vllm").glob("*.yaml")):
        found[source.stem] = yaml.safe_load(source.read_text().replace("http://127.0.0.1:8000/v1", url))
    objects = list(found.values())
    for streaming, name in (("window", "windowed"), ("detect", "detected")):
        policy = json.loads(json.dumps(found["guardrail-policy"]))
        policy["metadata"]["name"] = name
        policy["spec"]["streaming"] = streaming
        pipeline = json.loads(json.dumps(found["pipeline"]))
        pipeline["metadata"]["name"] = name
        pipeline["spec"]["guardrailPolicyRef"] = name
        objects += [policy, pipeline]
    quoting = json.loads(json.dumps(found["pipeline"]))
    quoting["metadata"]["name"] = "quoting"
    quoting["spec"]["steps"] = {"generate": {"modelServerRef": "quoting"}}
    server = {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "ModelServer",
        "metadata": {"name": "quoting"},
        "spec": {"extractive": {}},
    }
    adapter = {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "LoRAAdapter",
        "metadata": {"name": "french"},
        "spec": {
            "modelServerRef": "vllm",
            "modelName": "french",
            "revision": "r1",
            "source": {"local": {"path": "/adapters/french"}},
            "selectors": {"locale": "fr"},
        },
        "status": {"engineName": "french-r1"},
    }
    (folder / "objects.yaml").write_text(yaml.safe_dump_all([*objects, quoting, server, adapter]))
    return folder


@contextmanager
def served(folder: Path) -> Iterator[Serving]:
    """All of it for the length of the block, with the handbook ingested."""
    keys = folder / "keys.yaml"
    keys.write_text(yaml.safe_dump({"keys": [{"key": KEY, "tenant": "acme", "roles": ["writer"]}]}))
    keys.chmod(0o600)
    server = ModelServer()
    with in_a_thread(server):
        objects = _write_objects(folder / "objects", server.url)
        with running(folder / "data", "-f", str(objects), "--api-keys", str(keys)) as up:
            up.key = KEY
            up.ingest(handbook.documents())
            yield Serving(up, server)
