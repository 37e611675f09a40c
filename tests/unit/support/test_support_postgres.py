"""The PostgreSQL of the tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.postgres import PostgresServer

#: Prints whether the server in a folder runs, and how often finding out called the handlers of forks.
_ASKED = """
import ctypes, sys
from pathlib import Path
from support.postgres import PostgresServer

forks = []
handler = ctypes.CFUNCTYPE(None)(lambda: forks.append("fork"))
ctypes.CDLL(None).__register_atfork(handler, None, None, None)
folder, user = sys.argv[1:]
print(PostgresServer(0, Path(folder), user or None).is_running(), len(forks))
"""


@pytest.mark.needs("postgres")
@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc's own name for the registration of handlers")
def test_programs_are_started_without_a_fork(postgres_server: PostgresServer) -> None:
    """gRPC's handlers of forks make a child die that is made while other threads are at calls."""
    command = [sys.executable, "-c", _ASKED, str(postgres_server.folder), postgres_server.user or ""]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "0"]


@pytest.mark.needs("postgres")
@pytest.mark.parametrize("turn", ["first", "second"])
def test_server_that_one_test_leaves_stopped_runs_for_the_next(
    stoppable_postgres: PostgresServer, turn: str
) -> None:
    assert stoppable_postgres.new_database(), turn
    stoppable_postgres.stop()
    assert not stoppable_postgres.is_running()
