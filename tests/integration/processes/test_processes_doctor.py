"""`sluice doctor` and `sluice config show` as commands, on what runs and on what does not."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.running import QUICKSTART, SLUICE, Running, running, sluice, until

pytestmark = pytest.mark.processes

OK, FAILED, USAGE = 0, 1, 2

#: Everything that doctor says of a healthy installation.
CHECKS = {
    "platform": {"python", "system", "processor", "cores", "memory", "open files"},
    "packages": {"components", "dependencies", "native modules"},
    "settings": {"settings"},
    "objects": {"objects"},
    "ports": {"HTTP address"},
    "store": {
        "data folder",
        "disk space",
        "file system",
        "lock",
        "journal",
        "journal key",
        "knowledge base default",
    },
    "keys": {"API keys", "secrets"},
    "models": {"embedding model", "model server extractive"},
    "services": {"processes"},
}
NAMES = ("guardrail", "retriever", "reranker", "inference", "gateway")


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    """The quickstart's objects, free to change."""
    folder = tmp_path / "objects"
    folder.mkdir()
    for source in QUICKSTART.glob("*.yaml"):
        (folder / source.name).write_text(source.read_text())
    return folder


def _doctor(*arguments: str | Path, exits: int) -> list[dict[str, str]]:
    done = sluice("doctor", *arguments, "--output", "json")
    assert done.returncode == exits, done.stdout + done.stderr
    return json.loads(done.stdout)


def _not_ok(findings: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    return {each["check"]: each for each in findings if each["state"] in ("warning", "failed")}


def _checks(findings: list[dict[str, str]]) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = {}
    for each in findings:
        groups.setdefault(each["group"], set()).add(each["check"])
    return groups


def test_healthy_installation_is_ok_before_the_first_start_while_it_runs_and_after(
    tmp_path: Path, objects: Path
):
    data = tmp_path / "data"
    asked = ("-f", objects, "--data", data, "--listen", "127.0.0.1:0")
    before = _doctor(*asked, exits=OK)
    assert not _not_ok(before)
    assert _checks(before) == CHECKS
    assert not data.exists()
    with running(data, "-f", str(objects)) as up:
        during = _doctor("-f", objects, "--data", data, "--deep", exits=OK)
        assert {each["state"] for each in during} == {"ok"}
        assert _checks(during) == {
            **CHECKS,
            "ports": {"HTTP address", "gRPC address"},
            "services": {*NAMES, "sluice up", "snapshots", "readiness"},
            "round trip": {"search default", "audit"},
        }
        told = sluice("doctor", "--data", data, "-f", objects)
        assert told.returncode == OK
        assert f"--url {up.url}" in told.stdout.splitlines()[-1]
    after = _doctor(*asked, exits=OK)
    assert not _not_ok(after)
    assert _checks(after) == CHECKS


def test_stopped_process_is_named_and_the_remedy_works(up: Running):
    pid = up.kill("retriever", signal.SIGSTOP)
    try:
        found = _not_ok(_doctor("--data", up.data, exits=FAILED))
        assert set(found) == {"retriever", "readiness"}
        assert "retriever" in found["readiness"]["detail"]
        assert found["retriever"]["remedy"] == f"kill -CONT {pid}"
        subprocess.run(found["retriever"]["remedy"].split(), check=True)
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: up.serves("retriever"), 20, "the retriever answers")
    assert not _not_ok(_doctor("--data", up.data, exits=OK))


def test_stopped_supervisor_is_named(up: Running):
    up.process.send_signal(signal.SIGSTOP)
    try:
        found = _not_ok(_doctor("--data", up.data, exits=FAILED))
    finally:
        up.process.send_signal(signal.SIGCONT)
    assert set(found) == {"sluice up"}
    assert found["sluice up"]["remedy"] == f"kill -CONT {up.process.pid}"


def test_process_that_is_started_again_is_a_warning(tmp_path: Path):
    with running(tmp_path / "data") as up:
        up.kill("reranker")
        until(lambda: up.child("reranker")["restarts"] == 1 and up.serves("reranker"), 20, "it is back")
        found = _not_ok(_doctor("--data", up.data, exits=OK))
        assert set(found) == {"reranker"}
        assert "started again once, last" in found["reranker"]["detail"]


def test_refused_snapshot_is_named_with_its_reason(tmp_path: Path, objects: Path):
    with running(tmp_path / "data", "-f", str(objects)) as up:
        base = objects / "knowledge-base.yaml"
        hosted = "\n  deployment:\n    selfHosted: { url: 'http://127.0.0.1:6333', apiKeySecret: nowhere }\n"
        base.write_text(base.read_text().rstrip() + hosted)

        def refused() -> bool:
            status = json.loads(sluice("status", "--data", up.data, "--json").stdout)
            return (
                status["snapshots"]["gateway"]
                == status["snapshot_digest"]
                != status["snapshots"]["retriever"]
            )

        until(refused, 20, "the retriever refuses the snapshot")
        found = _not_ok(_doctor("--data", up.data, exits=FAILED))
        assert set(found) == {"snapshot of retriever"}
        assert "deployment.selfHosted names the secret 'nowhere'" in found["snapshot of retriever"]["detail"]


def test_keys_and_settings_are_those_of_what_runs(tmp_path: Path):
    keys = tmp_path / "keys.yaml"
    keys.write_text("keys:\n- {key: writer-key-0123456789, tenant: acme, roles: [writer]}\n")
    keys.chmod(0o600)
    environment = {
        "SLUICE_MAX_IN_FLIGHT": "7",
        "SLUICE_TRACE": "off",
        "SLUICE_API_KEY": "sk-a-secret-key-of-mine",
    }
    with running(tmp_path / "data", "--api-keys", str(keys), environment=environment) as up:
        keys.chmod(0o644)
        found = {each["check"]: each for each in _doctor("--data", up.data, "--deep", exits=FAILED)}
        assert found["API keys"]["state"] == "failed"
        assert found["API keys"]["remedy"] == f"chmod 600 {keys}"
        assert found["search default"]["state"] == "skipped"  # keys are on
        assert "SLUICE_TRACES" in found["settings"]["detail"]

        shown = sluice("config", "show", "--data", up.data, "--output", "yaml")
        assert shown.returncode == OK, shown.stderr
        assert "sk-a-secret-key-of-mine" not in shown.stdout
        settings = _shown("--data", up.data)
        gateway = settings["gateway"]
        assert gateway["SLUICE_MAX_IN_FLIGHT"]["value"] == 7
        assert gateway["SLUICE_MAX_IN_FLIGHT"]["source"] == "environment"
        assert gateway["SLUICE_API_KEYS_FILE"]["value"] == str(keys)
        assert gateway["SLUICE_API_KEYS_FILE"]["source"] == "sluice up"
        assert gateway["SLUICE_RETRIEVER_ADDRESS"]["value"] == up.child("retriever")["address"]
        assert settings["retriever"]["SLUICE_LOG_LEVEL"]["source"] == "default"


def test_configuration_without_anything_running(tmp_path: Path):
    asked = ("-f", QUICKSTART, "--data", tmp_path / "data")
    digest = json.loads(sluice("compile", "-f", QUICKSTART, "--json").stdout)["digest"]
    content = json.loads(sluice("config", "show", *asked, "--json").stdout)
    assert content["objects"]["digest"] == digest
    assert len(content["objects"]["files"]) == 4
    assert content["warnings"] == []
    assert {process["process"] for process in content["processes"]} == {*NAMES, "sluice"}
    only = _shown(*asked, "--process", "gateway")
    assert set(only) == {"gateway"}
    assert only["gateway"]["SLUICE_LISTEN"]["value"] == "chosen at start"
    assert only["gateway"]["SLUICE_LISTEN"]["source"] == "sluice up"


def test_secrets_are_redacted_and_strays_and_refused_values_are_named(tmp_path: Path):
    environment = {
        "SLUICE_API_KEY": "sk-a-secret-key-of-mine",
        "SLUICE_LOG_LEVL": "x",
        "SLUICE_LOG_FORMAT": "xml",
    }
    done = subprocess.run(
        [SLUICE, "config", "show", "-f", QUICKSTART, "--data", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )
    assert done.returncode == FAILED
    assert "sk-a-secret-key-of-mine" not in done.stdout + done.stderr
    assert "redacted (set)" in done.stdout
    assert "no process reads SLUICE_LOG_LEVL; did you mean SLUICE_LOG_LEVEL?" in done.stderr
    assert "gateway: SLUICE_LOG_FORMAT: Input should be 'json' or 'text'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("doctor", "--listen", "8080"), "--listen: '8080' is not an address"),
        (("doctor", "--grpc-listen", "here:there"), "--grpc-listen"),
        (("config", "show", "--process", "nope"), "there is no process 'nope'"),
    ],
)
def test_wrong_use_exits_2(arguments: tuple[str, ...], says: str):
    done = sluice(*arguments)
    assert done.returncode == USAGE
    assert says in done.stderr


def test_broken_objects_are_told_by_both(tmp_path: Path):
    (tmp_path / "broken.yaml").write_text("kind: [")
    found = _not_ok(
        _doctor("-f", tmp_path, "--data", tmp_path / "data", "--listen", "127.0.0.1:0", exits=FAILED)
    )
    assert set(found) == {"objects"}
    done = sluice("config", "show", "-f", tmp_path, "--process", "reranker", "--json")
    assert done.returncode == FAILED
    assert "broken.yaml:1: not YAML" in json.loads(done.stdout)["objects"]["problems"][0]


def _shown(*arguments: str | Path) -> dict[str, dict[str, dict[str, Any]]]:
    done = sluice("config", "show", *arguments, "--output", "json")
    assert done.returncode == OK, done.stderr
    return {
        process["process"]: {setting["variable"]: setting for setting in process["settings"]}
        for process in json.loads(done.stdout)["processes"]
    }
