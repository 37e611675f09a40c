"""What `sluice doctor` makes of facts: each fault is named, with what to do about it."""

import errno
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import pytest

from sluice_cli.diagnosing import (
    databases,
    embedding,
    logs,
    machine,
    packages,
    ports,
    rankers,
    reporting,
    services,
    snapshots,
    store,
)
from sluice_cli.diagnosing.findings import Entry, Finding, State
from sluice_cli.diagnosing.holding import Holder
from sluice_cli.diagnosing.probing import Probe
from sluice_servicekit.cgroups import Grant, granted

GIB = 1 << 30

MACHINE = machine.MachineFacts(
    python=(3, 11, 7),
    system="Linux",
    machine="x86_64",
    bits=64,
    flags=frozenset({"cx16", "popcnt", "sse4_1", "sse4_2", "ssse3", "avx2"}),
    cores=2,
    memory=8 * GIB,
    open_files=1024,
)
PACKAGES = packages.PackageFacts(
    versions={
        **{
            f"sluice-{name}": "0.1.0"
            for name in ("guardrail", "retriever", "reranker", "inference", "gateway")
        },
        "sluice-cli": "0.1.0",
        "qdrant-edge-py": "0.9.0",
        "tokenizers": "0.23.4",
    },
    requirements=[
        ("sluice-retriever", "qdrant-edge-py==0.9.0"),
        ("sluice-retriever", "tokenizers>=0.23,<0.24"),
        ("sluice-retriever", "colorama>=1; sys_platform == 'win32'"),
    ],
    native=(),
)
FOLDER = store.FolderFacts(Path("/data"), True, {}, 5 * GIB, "ext4", None, running=False)
PORT = ports.PortFacts(
    "HTTP address", "--listen", "127.0.0.1:8080", 0, "", (), frozenset(), expected=False, keys=False
)
RETRIEVER = services.ProcessFacts("retriever", 12, False, "", 0, 100.0, Path("/data/logs/retriever.log"), "")
DIGEST = "sha256:" + "a" * 64
SNAPSHOT = snapshots.SnapshotFacts("retriever", DIGEST, "", "", DIGEST)
FILE = {"step": "file", "path": "/model.onnx", "expected": "ab" * 32, "found": "ab" * 32}
ENCODED = {"step": "encoded", "dimension": 384}
KNOWLEDGE = databases.KnowledgeFacts(
    "default", Path("/k"), True, databases.DatabaseFacts(Path("/k/register.sqlite"), exists=True)
)


def _lines(*steps: dict[str, object]) -> str:
    return "".join(json.dumps(step) + "\n" for step in steps)


def _not_ok(findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.state is not State.OK]


def _exit_code(findings: Sequence[Finding]) -> int:
    return reporting.exit_code([Entry("group", finding) for finding in findings])


def test_healthy_facts_are_ok():
    assert not _not_ok(list(machine.judge(MACHINE)))
    assert not _not_ok(list(packages.judge(PACKAGES)))
    assert not _not_ok(list(store.judge(FOLDER)))
    assert not _not_ok([ports.judge(PORT), services.judge_process(RETRIEVER)])
    assert not _not_ok(list(snapshots.judge_snapshots([SNAPSHOT])))
    assert not _not_ok([embedding.judge(Probe(0, _lines(FILE, ENCODED), ""))])
    assert not _not_ok([databases.judge_knowledge(KNOWLEDGE)])


@pytest.mark.parametrize(
    ("facts", "check", "detail", "remedy", "exit_code"),
    [
        ({"python": (3, 10, 12)}, "python", "Python 3.10.12 is too old", "3.11", 1),
        ({"bits": 32}, "system", "32 bits", "64-bit", 1),
        ({"machine": "riscv64"}, "system", "riscv64", "x86_64 or aarch64", 1),
        ({"system": "Darwin"}, "system", "Darwin", "Linux", 0),
        ({"flags": frozenset({"cx16", "ssse3"})}, "processor", "popcnt, sse4_1, sse4_2", "x86-64-v2", 1),
        ({"cores": 0.5}, "cores", "0.5 cores", "one core", 0),
        ({"memory": GIB}, "memory", "1.0 GiB", "2 GiB", 0),
        ({"memory": GIB // 2}, "memory", "0.5 GiB", "1 GiB", 1),
        ({"open_files": 512}, "open files", "512 open files", "ulimit -n", 0),
        ({"open_files": 64}, "open files", "64 open files", "ulimit -n", 1),
    ],
)
def test_unfit_machine(facts: dict[str, object], check: str, detail: str, remedy: str, exit_code: int):
    findings = list(machine.judge(replace(MACHINE, **facts)))
    _one(findings, check, detail, remedy, exit_code)


def test_no_limit_of_open_files_is_ok():
    assert not _not_ok(list(machine.judge(replace(MACHINE, open_files=sys.maxsize))))


@pytest.mark.parametrize(
    ("changed", "check", "detail"),
    [
        (
            {"qdrant-edge-py": "0.8.1"},
            "dependencies",
            "qdrant-edge-py is 0.8.1, and sluice-retriever needs ==0.9.0",
        ),
        ({"tokenizers": None}, "dependencies", "tokenizers, which sluice-retriever needs, is not installed"),
        ({"sluice-gateway": "0.2.0"}, "components", "sluice-gateway 0.2.0"),
        ({"sluice-reranker": None}, "components", "not installed: sluice-reranker"),
    ],
)
def test_wrong_packages(changed: dict[str, str | None], check: str, detail: str):
    versions = {name: version for name, version in {**PACKAGES.versions, **changed}.items() if version}
    findings = list(packages.judge(replace(PACKAGES, versions=versions)))
    _one(findings, check, detail, "make setup", 1)


def test_modules_with_machine_code_are_told_by_their_files():
    files = ["numpy/_core/umath.cpython-311.so", "numpy.libs/libblas.so", "Stemmer.cpython-311.so", "re2.py"]
    assert packages.native_modules(PurePath(file) for file in files) == {"numpy", "Stemmer"}
    assert packages.native_modules(None) == set()
    assert {"grpc", "numpy", "onnxruntime", "qdrant_edge", "tokenizers"} <= set(packages.gather().native)


def test_module_that_kills_the_process_is_named():
    begun = [{"module": "numpy", "state": "begun"}, {"module": "numpy", "state": "done"}]
    output = _lines(*begun, {"module": "onnxruntime", "state": "begun"})
    finding = packages.judge_imports(Probe(-signal.SIGILL, output, ""))
    _one(
        [finding], "native modules", "importing onnxruntime was killed: this processor lacks", "processor", 1
    )


def test_module_that_does_not_load_is_named():
    lines = [
        {"module": "grpc", "state": "begun"},
        {"module": "grpc", "state": "failed", "error": "ImportError: x"},
    ]
    _one(
        [packages.judge_imports(Probe(0, _lines(*lines), ""))],
        "native modules",
        "grpc: ImportError: x",
        "setup",
        1,
    )


@pytest.mark.parametrize(
    ("probe", "detail", "remedy"),
    [
        (Probe(1, _lines({**FILE, "found": None}), ""), "/model.onnx is missing", "--reinstall-package"),
        (Probe(1, _lines({**FILE, "found": "cd" * 32}), ""), "damaged", "--reinstall-package"),
        (Probe(-signal.SIGILL, _lines(FILE), ""), "SIGILL", "processor"),
        (Probe(-signal.SIGKILL, _lines(FILE), ""), "killed by SIGKILL", "memory"),
        (Probe(1, "", "ModuleNotFoundError: no"), "ModuleNotFoundError", "packages"),
        (Probe(None, "", ""), "did not end in time", "less busy"),
    ],
)
def test_embedding_model_that_does_not_encode(probe: Probe, detail: str, remedy: str):
    _one([embedding.judge(probe)], "embedding model", detail, remedy, 1)


@pytest.mark.parametrize(
    ("facts", "check", "detail", "remedy", "exit_code"),
    [
        ({"free": 50 << 20}, "disk space", "50 MiB free", "disk", 1),
        ({"free": 500 << 20}, "disk space", "500 MiB free", "disk", 0),
        ({"filesystem": "nfs4"}, "file system", "nfs4", "local disk", 0),
        ({"refused": {Path("/data"): "Read-only file system"}}, "data folder", "Read-only", "--data", 1),
        ({"holder": Holder(7, "sleep 60")}, "lock", "process 7 (sleep 60)", "kill 7", 1),
        ({"holder": Holder(7, "")}, "lock", "process 7", "kill 7", 1),
        ({"holder": Holder(0, "")}, "lock", "cannot be told", "fuser", 1),
        ({"holder": Holder(7, "python bin/sluice up")}, "lock", "starting", "few seconds", 0),
    ],
)
def test_unfit_data_folder(facts: dict[str, object], check: str, detail: str, remedy: str, exit_code: int):
    _one(list(store.judge(replace(FOLDER, **facts))), check, detail, remedy, exit_code)


@pytest.mark.parametrize(
    ("facts", "detail", "remedy"),
    [
        (
            {"error": errno.EADDRINUSE, "holders": [Holder(9, "nginx")]},
            "held by process 9 (nginx)",
            "--listen 127.0.0.1:8090",
        ),
        ({"error": errno.EADDRINUSE}, "held by a process that cannot be told", "--listen"),
        (
            {"error": errno.EADDRNOTAVAIL, "reason": "Cannot assign requested address"},
            "Cannot assign requested address",
            "--listen",
        ),
        ({"error": errno.EACCES}, "root's", "--listen"),
        ({"address": "0.0.0.0:8080"}, "loopback only", "--api-keys"),
        ({"own": frozenset({5}), "expected": True}, "nobody listens", "start it again"),
    ],
)
def test_unfit_address(facts: dict[str, object], detail: str, remedy: str):
    _one([ports.judge(replace(PORT, **facts))], "HTTP address", detail, remedy, 1)


def test_other_address_than_that_of_this_sluice_up_may_be_free():
    assert ports.judge(replace(PORT, own=frozenset({5}))).state is State.OK


def test_address_of_this_sluice_up_is_ok():
    facts = replace(
        PORT,
        error=errno.EADDRINUSE,
        holders=[Holder(5, "sluice up"), Holder(6, "gateway")],
        own=frozenset({5}),
    )
    assert ports.judge(facts).state is State.OK


@pytest.mark.parametrize(
    ("facts", "detail", "remedy", "exit_code"),
    [
        (
            {"pid": 0, "restarts": 3, "last_error": "disk full"},
            "started again 3 times; the last error in its log: disk full",
            "log",
            1,
        ),
        ({"stopped": True}, "stopped by a signal", "kill -CONT 12", 1),
        ({"health": "Deadline Exceeded"}, "does not answer: Deadline Exceeded", "kill -9 12", 1),
        ({"restarts": 4, "age": 3.0}, "started again 4 times, last 3 s ago", "retriever.log", 0),
    ],
)
def test_unwell_process(facts: dict[str, object], detail: str, remedy: str, exit_code: int):
    _one([services.judge_process(replace(RETRIEVER, **facts))], "retriever", detail, remedy, exit_code)


def test_unwell_supervisor():
    assert services.judge_supervisor(5, stopped=False, health="").state is State.OK
    stopped = services.judge_supervisor(5, stopped=True, health="")
    _one([stopped], "sluice up", "stopped by a signal", "kill -CONT 5", 1)
    silent = services.judge_supervisor(5, stopped=False, health="Deadline Exceeded")
    _one([silent], "sluice up", "Deadline Exceeded", "kill 5", 1)


def test_process_that_was_restarted_long_ago_is_ok():
    assert services.judge_process(replace(RETRIEVER, restarts=2, age=3600.0)).state is State.OK


@pytest.mark.parametrize(
    ("facts", "detail", "remedy", "exit_code"),
    [
        (
            {"accepted": "sha256:old", "refused": DIGEST, "reason": "no engine"},
            "refused: no engine",
            "correct",
            1,
        ),
        ({"accepted": "sha256:old"}, "not the current one", "look again", 0),
        ({"accepted": ""}, "it has none", "look again", 1),
    ],
)
def test_process_with_another_snapshot(facts: dict[str, object], detail: str, remedy: str, exit_code: int):
    findings = list(snapshots.judge_snapshots([SNAPSHOT, replace(SNAPSHOT, **facts)]))
    _one(findings, "snapshot of retriever", detail, remedy, exit_code)


def test_object_that_is_not_in_force_is_named():
    problem = "GuardrailPolicy strict: wasm policy 'pii', module sha256:abc: no file has this digest"
    findings = list(snapshots.judge_snapshots([replace(SNAPSHOT, problems=(problem,))]))
    _one(_not_ok(findings), f"objects of {SNAPSHOT.name}", problem, "last good version", 1)


@pytest.mark.parametrize(
    ("facts", "detail", "state"),
    [
        ({"shard": False}, "shard", State.FAILED),
        ({"register": databases.DatabaseFacts(Path("/r"), exists=False)}, "register", State.FAILED),
        (
            {"register": databases.DatabaseFacts(Path("/r"), exists=True, problem="row 3")},
            "row 3",
            State.FAILED,
        ),
        (
            {"register": databases.DatabaseFacts(Path("/r"), exists=True, finished=False)},
            "15 s",
            State.WARNING,
        ),
        (
            {"shard": False, "register": databases.DatabaseFacts(Path("/r"), exists=False)},
            "first start",
            State.OK,
        ),
    ],
)
def test_knowledge_base_that_is_not_whole(facts: dict[str, object], detail: str, state: State):
    finding = databases.judge_knowledge(replace(KNOWLEDGE, **facts))
    assert finding.state is state
    assert detail in finding.detail
    assert bool(finding.remedy) is (state is not State.OK)


def test_last_error_of_a_log_is_a_dying_word_or_an_error():
    info = json.dumps({"level": "INFO", "message": "fine"})
    error = json.dumps({"level": "ERROR", "message": "the worker died"})
    assert logs.last_error([error, info, ""]) == "the worker died"
    assert logs.last_error([error, "ValueError: no", info]) == "ValueError: no"
    assert logs.last_error([info]) == ""
    text = "2026-11-25 13:03:27,045 {:<7} gateway sluice: {}"
    assert logs.last_error([text.format("ERROR", "no room"), text.format("INFO", "fine")]).endswith("no room")


@pytest.mark.parametrize(
    ("groups", "files", "grant"),
    [
        (
            "0::/a/b\n",
            {"a/cpu.max": "150000 100000", "a/b/memory.max": "max", "memory.max": "1024"},
            Grant(1.5, 1024),
        ),
        ("0::/not/there\n", {"cpu.max": "max 100000"}, Grant(None, None)),
        (
            "4:memory:/x\n1:cpu,cpuacct:/x\n0::/\n",
            {
                "memory/x/memory.limit_in_bytes": "2048",
                "cpu/cpu.cfs_quota_us": "50000",
                "cpu/cpu.cfs_period_us": "100000",
            },
            Grant(0.5, 2048),
        ),
        (
            "4:memory:/\n1:cpu:/\n",
            {"memory/memory.limit_in_bytes": "9223372036854771712", "cpu/cpu.cfs_quota_us": "-1"},
            Grant(None, None),
        ),
        ("", {}, Grant(None, None)),
    ],
)
def test_control_groups_of_both_versions(tmp_path: Path, groups: str, files: dict[str, str], grant: Grant):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert granted(groups, tmp_path) == grant


def _one(findings: Sequence[Finding], check: str, detail: str, remedy: str, exit_code: int) -> None:
    (found,) = _not_ok(findings)
    assert found.check == check
    assert detail in found.detail
    assert remedy in found.remedy
    assert _exit_code(findings) == exit_code


@pytest.mark.parametrize(
    ("probe", "state", "told"),
    [
        (Probe(0, '{"model": "m-1", "seconds": 0.012}\n', ""), State.OK, ["m-1 ranks a passage in 12 ms"]),
        (
            Probe(0, '{"problem": "the folder is not there; copy it"}\n', ""),
            State.FAILED,
            ["the folder is not there; copy it", "spec.steps.rerank.ranker of Pipeline/default"],
        ),
        (Probe(None, "", ""), State.FAILED, ["did not end in time", "less busy"]),
        (Probe(-signal.SIGKILL, "", ""), State.FAILED, ["was killed by SIGKILL"]),
    ],
)
def test_rankers(probe: Probe, state: State, told: list[str]):
    finding = rankers.judge("default", probe)
    assert finding.state is state
    assert all(text in f"{finding.detail} {finding.remedy}" for text in told)
