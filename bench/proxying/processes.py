"""Processes that are measured: started, asked until they answer, their CPU and memory read, ended."""

import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

#: Seconds a process has to answer.
_START = 120.0


@contextmanager
def started(
    command: Sequence[str | Path], environment: Mapping[str, str], log: Path, ready: str = ""
) -> Iterator[psutil.Process]:
    """A process for the length of the block, once `ready` answers; with this environment and no more."""
    with log.open("wb") as output:
        process = subprocess.Popen([*map(str, command)], env=dict(environment), stdout=output, stderr=output)
    try:
        _wait(process, ready, log)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], ready: str, log: Path) -> None:
    until = time.monotonic() + _START
    while ready and not _answers(ready):
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{process.args} does not answer:\n{log.read_text()[-2000:]}")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except OSError:
        return False


def free_port() -> int:
    """A port of loopback that nobody has now."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def cpu_seconds(process: psutil.Process) -> float:
    """User and system time of a process and of those it has started."""
    return sum(sum(each.cpu_times()[:2]) for each in _family(process))


def megabytes(process: psutil.Process) -> float:
    """Resident memory of a process and of those it has started."""
    return sum(each.memory_info().rss for each in _family(process)) / 1e6


def outside(process: psutil.Process) -> int:
    """Connections to other machines that are open now."""
    return sum(
        bool(each.raddr) and not each.raddr.ip.removeprefix("::ffff:").startswith(("127.", "::1"))
        for one in _family(process)
        for each in one.net_connections("inet")
    )


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]
