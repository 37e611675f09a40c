"""What a newcomer runs first."""

import contextlib
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from support.running import PROJECT, SLUICE, sluice, until

pytestmark = pytest.mark.processes

STEPS = ("guard_input", "retrieve", "rerank", "guard_passages", "generate", "guard_output")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with fewer documents: all of them take a machine without fast instructions for bytes a minute."""
    folder = tmp_path / "project"
    (folder / "docs").mkdir(parents=True)
    shutil.copytree(PROJECT / "examples" / "quickstart", folder / "examples" / "quickstart")
    for page in ("README.md", "docs/architecture.md"):
        shutil.copy(PROJECT / page, folder / page)
    return folder


def test_quickstart_answers_from_the_docs_though_its_port_is_taken(tmp_path: Path, project: Path):
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # already taken by something else: just as well
            stack.enter_context(socket.create_server(("127.0.0.1", 8080)))
        done = sluice("quickstart", "--exit", "--data", tmp_path / "data", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "127.0.0.1:8080 is taken; serving on 127.0.0.1:" in done.stderr
    assert "[1]" in done.stdout
    assert "docs/architecture.md" in done.stdout
    for step in STEPS:
        assert step in done.stdout
    assert "answered" in done.stdout


def test_quickstart_elsewhere_says_where_to_run_it(tmp_path: Path):
    done = sluice("quickstart", "--exit", cwd=tmp_path)
    assert done.returncode == 2
    assert "folder of the project" in done.stderr


def test_interrupted_start_leaves_nothing(tmp_path: Path):
    data = tmp_path / "data"
    process = subprocess.Popen(
        [SLUICE, "quickstart", "--exit", "--data", data],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until(lambda: (data / "run" / "processes.json").exists(), 90, "the processes are starting")
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=90)
    assert process.returncode == 130
    assert "Traceback" not in printed
    assert not (data / "run" / "processes.json").exists()
