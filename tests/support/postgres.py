"""A real PostgreSQL server for tests: of the machine's own binaries, in a folder of its own, on loopback alone."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

_BINARIES = Path("/usr/lib/postgresql")

#: Nothing of a test outlives its server, so nothing needs to reach the disk.
_OPTIONS = "-c fsync=off -c full_page_writes=off -c max_connections=200 -c listen_addresses=127.0.0.1"

_CHANGE_USER = """
import os, sys
user, group, *command = sys.argv[1:]
os.setgroups([])
os.setgid(int(group))
os.setuid(int(user))
os.execv(command[0], command)
"""


def binary(name: str) -> Path | None:
    """A program of PostgreSQL, of the newest version installed."""
    installed = sorted(
        (path for path in _BINARIES.glob(f"*/bin/{name}")),
        key=lambda path: int(path.parts[-3]) if path.parts[-3].isdigit() else 0,
    )
    if installed:
        return installed[-1]
    found = shutil.which(name)
    return Path(found) if found else None


def is_there() -> bool:
    """True where a server can be started."""
    return binary("initdb") is not None and binary("pg_ctl") is not None


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A server that runs."""

    port: int
    folder: Path
    user: str | None
    options: str = _OPTIONS

    def url(self, database: str) -> str:
        """The URL of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def new_schema(self) -> str:
        """The URL of a new, empty schema: where locks may be shared, a hundred times faster than a database."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE SCHEMA "{name}"')
        return f"{self.url('postgres')}?options=-csearch_path%3D{name}"

    def is_running(self) -> bool:
        """False once it is stopped, or where it could not be started again."""
        try:
            self._control("status")
        except RuntimeError:
            return False
        return True

    def stop(self) -> None:
        """Stops it at once, as a crash does."""
        self._control("stop", "-m", "immediate")

    def start(self) -> None:
        """Starts it, on the port it had."""
        options = f"{self.options} -c port={self.port} -c unix_socket_directories={self.folder}"
        self._control("start", "-w", "-l", str(self.folder / "log"), "-o", options)

    def _control(self, *arguments: str) -> None:
        _run(self.user, "pg_ctl", "-D", str(self.folder / "data"), *arguments)


@contextmanager
def server(*, durable: bool = False) -> Iterator[PostgresServer]:
    """A server for the length of the block; one that is durable waits for the disk, as a bench has to."""
    # Not below pytest's own folders: those are closed to the user that the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="sluice-postgres-"))
    user = _user()
    try:
        if user is not None:
            account = pwd.getpwnam(user)
            os.chown(folder, account.pw_uid, account.pw_gid)
        _run(user, "initdb", "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8")
        running = PostgresServer(
            _free_port(), folder, user, _OPTIONS.replace("=off", "=on") if durable else _OPTIONS
        )
        running.start()
        try:
            yield running
        finally:
            if running.is_running():
                running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _user() -> str | None:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {account.pw_name for account in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _as_user(user: str, command: list[str]) -> list[str]:
    """A command that runs another one as somebody else.

    For its own `user=`, `subprocess` forks where it has vfork otherwise. Handlers of forks then run, gRPC's among them:
    in a process whose threads are at calls the child may die before it has started anything.
    """
    account = pwd.getpwnam(user)
    return [sys.executable, "-ISc", _CHANGE_USER, str(account.pw_uid), str(account.pw_gid), *command]


def _run(user: str | None, name: str, *arguments: str) -> None:
    program = binary(name)
    assert program is not None, f"PostgreSQL's {name} is missing"
    command = [str(program), *arguments]
    # A server inherits its starter's output: a pipe would stay open for as long as it runs.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            command if user is None else _as_user(user, command),
            cwd="/",
            check=False,
            stdout=output,
            stderr=output,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
        )
        output.seek(0)
        said = output.read().decode(errors="replace")
    if done.returncode != 0:
        raise RuntimeError(f"{name} failed: {said}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
