"""Policies in WebAssembly under `sluice up`: hostile ones end as configured, changes come into force by themselves."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.running import QUICKSTART, Running, running, sluice, until
from support.wasm import core, digest

pytestmark = pytest.mark.processes

BLOCKS = core(answer='{"action":"block","labels":["word"]}')
FLAGS = core(answer='{"action":"flag","labels":["word"]}')
SPINS, GROWS, RECURSES = (
    core("(loop (br 0)) (i64.const 0)"),
    core("(loop (drop (memory.grow (i32.const 1))) (br 0)) (i64.const 0)"),
    core("(call $evaluate (local.get $ptr) (local.get $len))"),
)


def _policy(folder: Path, name: str, module: str, **fields: Any) -> None:
    policy = {"name": "module", "module": module, "timeout": "5s", **fields}
    document = {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "GuardrailPolicy",
        "metadata": {"name": name},
        "spec": {"wasm": [policy]},
    }
    (folder / f"policy-{name}.yaml").write_text(yaml.safe_dump(document))


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quickstart's objects, with a policy for each module."""
    folder = tmp_path_factory.mktemp("objects")
    for file in QUICKSTART.glob("*.yaml"):
        (folder / file.name).write_text(file.read_text())
    modules = folder / "modules"
    modules.mkdir()
    for name, module in {"blocks": BLOCKS, "spins": SPINS, "grows": GROWS, "recurses": RECURSES}.items():
        (modules / f"{name}.wasm").write_bytes(module)
        _policy(folder, name, digest(module), timeout="5s" if name == "blocks" else "100ms")
    _policy(folder, "lenient", digest(SPINS), timeout="100ms", onError="allow")
    _policy(folder, "waits", digest(FLAGS))
    _policy(folder, "changes", digest(BLOCKS))
    return folder


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, objects: Path) -> Iterator[Running]:
    """Everything running, with the folder of modules beside the objects."""
    with running(tmp_path_factory.mktemp("modules") / "data", "-f", str(objects)) as up:
        yield up


def _guard(up: Running, policy: str, text: str = "Where is the kiln made?") -> dict[str, Any]:
    with up.http() as http:
        reply = http.post("/v1/guard", json={"text": text, "channel": "user", "policy": policy})
    return reply.json()


def test_module_s_decision_reaches_the_caller(up: Running):
    verdict = _guard(up, "blocks")
    assert verdict["action"] == "block"
    assert "wasm/module" in {each["name"] for each in verdict["detectors"]}


def test_hostile_modules_end_as_configured_and_the_service_stays_up(up: Running):
    process = up.child("guardrail")["pid"]
    names = ["spins", "grows", "recurses", "lenient"] * 10
    with ThreadPoolExecutor(8) as threads:
        verdicts = list(threads.map(lambda name: (name, _guard(up, name)), names))
    assert {(name, verdict["action"]) for name, verdict in verdicts} == {
        ("spins", "block"),
        ("grows", "block"),
        ("recurses", "block"),
        ("lenient", "flag"),
    }
    assert _guard(up, "blocks")["action"] == "block"
    assert up.child("guardrail")["pid"] == process


def test_policy_that_waits_for_its_module_is_named_and_comes_into_force_when_it_arrives(
    up: Running, objects: Path
):
    with up.http() as http:
        refused = http.post("/v1/guard", json={"text": "hello", "channel": "user", "policy": "waits"})
    assert refused.status_code >= 400
    assert digest(FLAGS)[:19] in refused.text
    status = sluice("status", "--data", up.data)
    assert "GuardrailPolicy waits: wasm policy 'module'" in status.stdout
    doctor = sluice("doctor", "--data", up.data)
    assert "GuardrailPolicy waits" in doctor.stdout
    (objects / "modules" / "late").write_bytes(FLAGS)
    until(lambda: _guard(up, "waits").get("action") == "flag", 60, "the policy is in force")
    until(lambda: "GuardrailPolicy waits" not in _problems(up), 20, "nobody complains")


def _problems(up: Running) -> str:
    return str(json.loads(sluice("status", "--data", up.data, "--json").stdout)["problems"])


def test_broken_update_keeps_what_was_in_force(up: Running, objects: Path):
    _policy(objects, "changes", digest(b"nowhere"))
    until(lambda: "GuardrailPolicy changes" in _problems(up), 30, "the update is refused")
    assert _guard(up, "changes")["action"] == "block"
    _policy(objects, "changes", digest(SPINS), timeout="100ms", onError="allow")
    until(lambda: _guard(up, "changes").get("action") == "flag", 30, "the mended update is in force")
