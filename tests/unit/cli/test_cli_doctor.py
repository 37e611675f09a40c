"""`sluice doctor` on a folder on which nothing runs, with one real fault at a time."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sluice_cli.diagnosing import groups, holding, probing, reporting, subject
from sluice_cli.diagnosing.examining import examine
from sluice_cli.diagnosing.findings import Check, Entry, State, ok
from sluice_cli.diagnosing.subject import Asked
from support.running import QUICKSTART

KEY = "sk-this-is-a-secret-key"
MODEL = "tiny"
#: Those that load machine code, or look at this machine, are tried on facts and in the processes tests.
ELSEWHERE = ("platform", "packages", "embedding model", "disk space", "file system")


@dataclass
class ModelServer:
    """What a model server answers when it is asked for its models."""

    status: int = 200
    body: Any = None
    silent_seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    """Those of the last request."""

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Its base URL, for the length of the block."""
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                double.headers = dict(self.headers)
                time.sleep(double.silent_seconds)
                body = {"data": [{"id": MODEL}]} if double.body is None else double.body
                self.send_response(double.status if self.path == "/v1/models" else 404)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: object) -> None:
                """Says nothing."""

            def handle(self) -> None:
                with suppress(OSError):  # the caller gave up
                    super().handle()

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            serving = threading.Thread(target=server.serve_forever, args=(0.01,))
            serving.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}/v1"
            finally:
                server.shutdown()
                serving.join()


@dataclass
class Installation:
    """A data folder as `sluice up` leaves it, objects, and what doctor is told."""

    root: Path
    asked: Asked
    environment: dict[str, str]
    stack: ExitStack

    @property
    def objects(self) -> Path:
        """The folder of the objects."""
        return self.root / "objects"

    @property
    def gateway(self) -> Path:
        """The gateway's folder."""
        return self.asked.data / "gateway"

    @property
    def knowledge(self) -> Path:
        """The knowledge base's folder."""
        return self.asked.data / "retriever" / "knowledge" / "default"

    def tell(self, **more: Any) -> None:
        """Tells doctor more."""
        self.asked = replace(self.asked, **more)

    def model_server(self, url: str, secret: str = "") -> None:
        """Has a model server elsewhere write the answers."""
        (self.objects / "elsewhere.yaml").write_text(
            "apiVersion: sluice.dev/v1alpha1\nkind: ModelServer\nmetadata: { name: elsewhere }\n"
            f"spec:\n  baseModel: {MODEL}\n  external:\n    urls: ['{url}']\n    apiKeySecret: '{secret}'\n"
        )

    def secret(self, text: str, mode: int = 0o600) -> Path:
        """Puts a secret into the secrets directory."""
        folder = self.root / "secrets"
        folder.mkdir(exist_ok=True)
        self.environment["SLUICE_SECRETS_DIR"] = str(folder)
        (folder / "elsewhere-key").write_text(text)
        (folder / "elsewhere-key").chmod(mode)
        return folder / "elsewhere-key"

    def keys_file(self, entry: str, mode: int = 0o600) -> None:
        """Turns API keys on."""
        file = self.root / "keys.yaml"
        file.write_text(f"keys:\n- {{{entry}}}\n")
        file.chmod(mode)
        self.environment["SLUICE_API_KEYS_FILE"] = str(file)

    def examined(self, *, settings: bool = False) -> list[Entry]:
        """What doctor finds. It asks five processes for their settings only on request."""
        left_out = {*ELSEWHERE, *(() if settings else ("settings",))}
        found = groups.checks(subject.gather(self.asked, self.environment))
        return examine([check for check in found if not {check.group, check.name} & left_out])


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """One without a fault."""
    (tmp_path / "objects").mkdir()
    for source in QUICKSTART.glob("*.yaml"):
        (tmp_path / "objects" / source.name).write_text(source.read_text())
    with ExitStack() as stack:
        probe = stack.enter_context(socket.socket())
        probe.bind(("127.0.0.1", 0))  # bound and not listening: nobody else is given it
        asked = Asked([tmp_path / "objects"], tmp_path / "data", f"127.0.0.1:{probe.getsockname()[1]}")
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made = Installation(tmp_path, asked, {"PATH": os.environ["PATH"]}, stack)
        _database(made.gateway / "journal.sqlite", "journal")
        (made.gateway / "journal.key").write_bytes(b"k" * 32)
        (made.gateway / "journal.key").chmod(0o600)
        _database(made.knowledge / "register.sqlite", "writes")
        (made.knowledge / "shard").mkdir()
        (made.asked.data / "run").mkdir()
        (made.asked.data / "run" / "up.lock").write_text("1")
        yield made


def _database(path: Path, table: str) -> None:
    path.parent.mkdir(parents=True)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, text TEXT)")
        connection.executemany(f"INSERT INTO {table} (text) VALUES (?)", [("x" * 500,)] * 200)
    connection.close()


def _port_taken(made: Installation) -> None:
    taken = made.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    made.tell(listen=f"127.0.0.1:{taken.getsockname()[1]}")


def _grpc_port_taken(made: Installation) -> None:
    taken = made.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    made.tell(grpc_listen=f"127.0.0.1:{taken.getsockname()[1]}")


def _below_a_file(made: Installation) -> None:
    (made.root / "file").write_text("")
    made.tell(data=made.root / "file" / "data")


def _held(made: Installation) -> None:
    script = (
        "import fcntl, os, sys, time\n"
        "lock = open(sys.argv[1], 'r+')\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "lock.truncate()\nlock.write(str(os.getpid()))\nlock.flush()\n"
        "print(flush=True)\ntime.sleep(600)\n"
    )
    command = [sys.executable, "-c", script, made.asked.data / "run" / "up.lock"]
    holder = made.stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
    made.stack.callback(holder.kill)
    holder.stdout.readline()


def _overwritten(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * 4096)


def _left_with_a_wal(made: Installation) -> None:
    _overwritten(made.gateway / "journal.sqlite", 8192)
    (made.gateway / "journal.sqlite-wal").touch()


def _broken_object(made: Installation) -> None:
    (made.objects / "knowledge-base.yaml").write_text("kind: [")


def _dangling(made: Installation) -> None:
    file = made.objects / "pipeline.yaml"
    file.write_text(file.read_text().replace("knowledgeBaseRef: default", "knowledgeBaseRef: nope"))


def _without_effect(made: Installation) -> None:
    (made.objects / "vllm.yaml").write_text(
        "apiVersion: sluice.dev/v1alpha1\nkind: ModelServer\nmetadata: { name: pods }\n"
        "spec: { baseModel: tiny, vllm: { image: 'vllm/vllm-openai:latest' } }\n"
    )


def _served(server: ModelServer, path: str = "", secret: str = "") -> Callable[[Installation], None]:
    def inject(made: Installation) -> None:
        url = made.stack.enter_context(server.serving())
        made.model_server(url + path, secret)
        if secret:
            made.secret(KEY)

    return inject


def _secret_missing(made: Installation) -> None:
    made.model_server("http://127.0.0.1:9/v1", "elsewhere-key")
    made.secret(KEY).unlink()


def _secret_empty(made: Installation) -> None:
    url = made.stack.enter_context(ModelServer().serving())
    made.model_server(url, "elsewhere-key")
    made.secret("\n")


def _secret_readable(made: Installation) -> None:
    url = made.stack.enter_context(ModelServer().serving())
    made.model_server(url, "elsewhere-key")
    made.secret(KEY, 0o644)


def _unsendable_key(made: Installation) -> None:
    url = made.stack.enter_context(ModelServer().serving())
    made.model_server(url, "elsewhere-key")
    made.secret(f"{KEY}\n{KEY}\n")


HASHED = f"key_sha256: {'a' * 64}, tenant: acme"
SERVER = "model server elsewhere"
URLS = "spec.external.urls of ModelServer/elsewhere"

FAULTS: dict[str, tuple[Callable[[Installation], object], str, str, str, int]] = {
    "port taken": (_port_taken, "HTTP address", f"is held by process {os.getpid()} (", "sluice up --listen 127.", 1),
    "gRPC port taken": (_grpc_port_taken, "gRPC address", "is held by process", "sluice up --grpc-listen", 1),
    "not loopback": (lambda made: made.tell(listen="0.0.0.0:0"), "HTTP address", "without API keys", "--api-keys", 1),
    "folder below a file": (_below_a_file, "data folder", "Not a directory", "--data", 1),
    "folder held": (_held, "lock", "is not a `sluice up`", "end it: `kill ", 1),
    "journal overwritten": (
        lambda made: _overwritten(made.gateway / "journal.sqlite", 8192), "journal", "is damaged", "backup", 1,
    ),
    "journal overwritten, with a WAL": (_left_with_a_wal, "journal", "is damaged", "backup", 1),
    "journal of something else": (
        lambda made: (made.gateway / "journal.sqlite").write_text("Dear diary"),
        "journal", "not a database", "backup", 1,
    ),
    "journal emptied": (
        lambda made: (made.gateway / "journal.sqlite").write_text(""), "journal", "no table 'journal'", "backup", 1,
    ),
    "journal key missing": (
        lambda made: (made.gateway / "journal.key").unlink(), "journal key", "is missing", "backup", 1,
    ),
    "journal key readable": (
        lambda made: (made.gateway / "journal.key").chmod(0o644), "journal key", "others may read", "chmod 600 ", 1,
    ),
    "journal key short": (
        lambda made: (made.gateway / "journal.key").write_text("k"), "journal key", "shorter than 32", "backup", 1,
    ),
    "register overwritten": (
        lambda made: _overwritten(made.knowledge / "register.sqlite", 8192),
        "knowledge base default", "is damaged", "ingest the documents again", 1,
    ),
    "register missing": (
        lambda made: (made.knowledge / "register.sqlite").unlink(),
        "knowledge base default", "register.sqlite is missing", "ingest the documents again", 1,
    ),
    "shard missing": (
        lambda made: (made.knowledge / "shard").rmdir(),
        "knowledge base default", "shard is missing", "ingest the documents again", 1,
    ),
    "keys file malformed": (
        lambda made: made.keys_file(f"key: {KEY}, role: x"), "API keys", "keys.0.role", "key_sha256, tenant", 1,
    ),
    "keys file missing": (
        lambda made: made.tell(api_keys=made.root / "none"), "API keys", "cannot be read", "correct", 1,
    ),
    "keys file readable": (
        lambda made: made.keys_file(f"key: {KEY}, tenant: acme", 0o644), "API keys", "everybody", "chmod 600 ", 1,
    ),
    "plain key": (
        lambda made: made.keys_file(f"key: {KEY}, tenant: acme"), "API keys", "1 keys are in the file", "keys new", 0,
    ),
    "expired key": (
        lambda made: made.keys_file(f"{HASHED}, id: old, expires: 2020-01-01"),
        "API keys", "old has expired", "keys new", 0,
    ),
    "hashes readable": (lambda made: made.keys_file(HASHED, 0o644), "API keys", "everybody", "chmod 600 ", 0),
    "setting refused": (
        lambda made: made.environment.update(SLUICE_DRAIN_SECONDS="-1"),
        "settings", "SLUICE_DRAIN_SECONDS: Input should be", "sluice config show", 1,
    ),
    "setting misspelt": (
        lambda made: made.environment.update(SLUICE_DRAIN_SECOND="3"),
        "settings", "no process reads SLUICE_DRAIN_SECOND; did you mean SLUICE_DRAIN_SECONDS?", "unset", 0,
    ),
    "object broken": (_broken_object, "objects", "knowledge-base.yaml:1: not YAML", "sluice compile", 1),
    "reference dangling": (
        _dangling, "objects", "Pipeline/default: spec.knowledgeBaseRef: there is no KnowledgeBase", "sluice compile", 1,
    ),
    "object without effect": (_without_effect, "objects", "spec.vllm: has no effect", "cluster", 0),
    "no secrets directory": (
        lambda made: made.model_server("http://127.0.0.1:9/v1", "elsewhere-key"),
        "secret elsewhere-key", "no secrets directory", "SLUICE_SECRETS_DIR", 1,
    ),
    "secret missing": (_secret_missing, "secret elsewhere-key", "No such file", "elsewhere-key, readable", 1),
    "secret empty": (_secret_empty, "secret elsewhere-key", "is empty", "put the key into", 1),
    "secret readable": (_secret_readable, "secret elsewhere-key", "everybody", "chmod 600 ", 0),
    "model server down": (lambda made: made.model_server("http://127.0.0.1:9/v1"), SERVER, "refused", URLS, 1),
    "model server asks for a key": (_served(ModelServer(401)), SERVER, "asks for a key (401)", "apiKeySecret", 1),
    "model server refuses the key": (
        _served(ModelServer(401), secret="elsewhere-key"), SERVER, "refuses the key (401)", "'elsewhere-key'", 1,
    ),
    "key cannot be sent": (_unsendable_key, SERVER, "characters that no header may", "'elsewhere-key'", 1),
    "model server hangs": (_served(ModelServer(silent_seconds=4)), SERVER, "within 3 s", "hangs", 1),
    "model server fails": (_served(ModelServer(503)), SERVER, "answers 503", "log", 1),
    "model server elsewhere": (_served(ModelServer(), "/v2"), SERVER, "answers 404", URLS, 1),
    "model server of another kind": (_served(ModelServer(body=["hello"])), SERVER, "not with a list", URLS, 1),
    "model server with another model": (
        _served(ModelServer(body={"data": [{"id": "other"}]})), SERVER, "it serves: other", "spec.baseModel", 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_single_fault_is_named_with_its_remedy_and_nothing_else_is(installation: Installation, name: str):
    inject, check, detail, remedy, exit_code = FAULTS[name]
    inject(installation)
    entries = installation.examined(settings=check == "settings")
    (fault,) = [entry.finding for entry in entries if entry.finding.state in (State.WARNING, State.FAILED)]
    assert fault.check == check
    assert detail in fault.detail
    assert remedy in fault.remedy
    assert reporting.exit_code(entries) == exit_code
    assert KEY not in json.dumps(reporting.as_data(entries))


def test_installation_without_a_fault_is_ok(installation: Installation):
    before = sorted(installation.root.rglob("*"))
    server = ModelServer()
    _served(server, secret="elsewhere-key")(installation)
    installation.keys_file(HASHED)
    states = {entry.finding.check: entry.finding.state for entry in installation.examined(settings=True)}
    assert states.pop("processes") is State.SKIPPED  # nothing runs
    assert set(states.values()) == {State.OK}
    assert server.headers["authorization"] == f"Bearer {KEY}"
    made = {
        installation.root / name
        for name in ("secrets", "secrets/elsewhere-key", "keys.yaml", "objects/elsewhere.yaml")
    }
    assert set(installation.root.rglob("*")) - made == set(before)  # it leaves nothing behind


def test_folder_that_is_not_there_yet_is_ok_and_not_made(installation: Installation):
    installation.tell(data=installation.root / "new" / "data")
    entries = installation.examined()
    assert {entry.finding.state for entry in entries} == {State.OK, State.SKIPPED}
    assert not (installation.root / "new").exists()


def _record_of(made: Installation, pid: int) -> None:
    record = {"pid": pid, "url": "http://127.0.0.1:9", "grpc_address": "127.0.0.1:9", "snapshot_address": ""}
    (made.asked.data / "run" / "processes.json").write_text(
        json.dumps({**record, "snapshot_digest": "", "processes": []})
    )


def test_record_of_a_killed_supervisor_counts_for_nothing(installation: Installation):
    _record_of(installation, os.getpid())  # as if the process id had been given to another
    assert {entry.finding.state for entry in installation.examined()} == {State.OK, State.SKIPPED}


def test_record_of_another_than_the_holder_counts_for_nothing(installation: Installation):
    _record_of(installation, os.getpid())
    _held(installation)
    entries = [entry.finding for entry in installation.examined()]
    assert [finding.check for finding in entries if finding.state is State.FAILED] == ["lock"]
    assert [finding.check for finding in entries if finding.state is State.SKIPPED] == ["processes"]


def test_check_that_breaks_or_hangs_fails_alone():
    def breaks() -> list[Any]:
        raise RuntimeError("unforeseen")

    def forbidden() -> list[Any]:
        raise PermissionError(13, "Permission denied", "/data")

    hanging = threading.Event()
    checks = [
        Check("a", "breaks", breaks),
        Check("a", "forbidden", forbidden),
        Check("a", "hangs", lambda: [ok("hangs", str(hanging.wait(30)))]),
        Check("b", "fine", lambda: [ok("fine", "")]),
    ]
    entries = examine(checks, patience=1.0)
    hanging.set()
    assert [entry.finding.state for entry in entries] == [*[State.FAILED] * 3, State.OK]
    assert "RuntimeError: unforeseen" in entries[0].finding.detail
    assert entries[1].finding.detail == "/data cannot be read: Permission denied"
    assert "did not end within" in entries[2].finding.detail
    assert all(entry.finding.remedy for entry in entries[:3])


def test_module_that_kills_its_process_is_told_by_its_import(tmp_path: Path):
    (tmp_path / "lacking.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    module = "sluice_cli.diagnosing.importing"
    probe = probing.python_module(module, ["json", "lacking", "csv"], seconds=60, environment=environment)
    assert "lacks an instruction" in probe.end
    assert json.loads(probe.output.splitlines()[-1]) == {"module": "lacking", "state": "begun"}


def test_process_is_named_without_what_its_options_hold():
    command = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)", "--api-key", KEY]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            process.stdout.read(1)  # for a moment after its start a process has no command line
            name = str(holding.of_process(process.pid))
        finally:
            process.kill()
    assert name == f"process {process.pid} ({Path(sys.executable).name})"


def test_report_is_one_line_for_each_finding_and_obeys_no_terminal():
    entries = [Entry("a", replace(ok("x", "red \x1b[31m\nnext [bold]"), state=State.FAILED, remedy="do it"))]
    lines = list(reporting.as_lines(entries))
    assert len(lines) == 3
    assert not any("\x1b" in line or "\n" in line for line in lines)
    assert "→ do it" in lines[2]
