"""The policies that we ship: their modules have the digests we name, and hold to their cases."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from sluice_api.loading import load
from support.running import PROJECT

POLICIES = PROJECT / "policies"
MODULES = POLICIES / "modules"
SUMS = {
    name: digest
    for digest, name in (line.split() for line in (MODULES / "SHA256SUMS").read_text().splitlines())
}
SHIPPED = [
    "egress-links",
    "no-competitors",
    pytest.param("ticket-scope", marks=pytest.mark.needs("ticket-scope")),
]


def _testing(*arguments: str | Path) -> dict:
    command = [sys.executable, "-m", "sluice_guardrail.wasm.testing", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", SHIPPED)
def test_module_is_what_its_digest_says_and_holds_to_its_cases(name: str):
    report = _testing("test", MODULES / f"{name}.wasm", POLICIES / name / "cases.yaml", "{}")
    assert report["refused"] == ""
    assert [(case["name"], case["differences"]) for case in report["cases"] if not case["passed"]] == []
    assert len(report["cases"]) >= 7
    assert report["digest"] == f"sha256:{SUMS[f'{name}.wasm']}"


def test_a_module_is_looked_through_and_its_settings_are_asked_of_it():
    module = MODULES / "egress-links.wasm"
    found = _testing("inspect", module, "{}")
    assert (found["kind"], found["refused"]) == ("wasi", "")
    assert "wasi_snapshot_preview1.fd_read" in found["imports"]
    refused = _testing("inspect", module, json.dumps({"settings": {"hosts": ["a/b"]}}))
    assert "it refuses the settings: hosts: each is a host name alone" in refused["refused"]
    assert "`guard_abi_version`" in _testing("inspect", module, json.dumps({"kind": "core"}))["refused"]


def test_what_is_no_module_and_what_is_no_file(tmp_path: Path):
    junk = tmp_path / "junk.wasm"
    junk.write_bytes(b"\0asm\1\0\0\0\7")
    assert "no module" in _testing("inspect", junk, "{}")["refused"]
    assert hashlib.sha256(junk.read_bytes()).hexdigest() in _testing("inspect", junk, "{}")["digest"]
    assert "No such file" in _testing("inspect", tmp_path / "none", "{}")["error"]
    assert "nothing.yaml: No such file" in _testing("test", junk, tmp_path / "nothing.yaml", "{}")["error"]


def test_the_example_names_modules_that_are_there():
    policies = [
        each.object for each in load([PROJECT / "examples" / "wasm"]) if each.object.kind == "GuardrailPolicy"
    ]
    named = {wasm.module.removeprefix("sha256:") for policy in policies for wasm in policy.spec.wasm}
    assert named == {SUMS["no-competitors.wasm"], SUMS["egress-links.wasm"]}
    readme = (PROJECT / "examples" / "wasm" / "README.md").read_text()
    assert f"module: sha256:{SUMS['ticket-scope.wasm']}" in readme
