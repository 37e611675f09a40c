"""Group `platform`: is this a machine that Sluice runs on?"""

import os
import platform
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from sluice_cli.diagnosing.findings import Check, Finding, failed, ok, warning
from sluice_servicekit.cgroups import granted

GROUP = "platform"

_OLDEST_PYTHON = (3, 11)
_MACHINES = ("x86_64", "amd64", "aarch64", "arm64")
#: What NumPy's wheels need of an x86 processor since 2.4: the level x86-64-v2.
_X86_FLAGS = frozenset({"cx16", "popcnt", "sse4_1", "sse4_2", "ssse3"})
#: All processes together hold 0.7 GiB before the first document.
_MEMORY_FAILED, _MEMORY_WARNING = 768 << 20, 2 << 30
_OPEN_FILES_FAILED, _OPEN_FILES_WARNING = 256, 1024


@dataclass(frozen=True)
class MachineFacts:
    """What the machine is and grants."""

    python: tuple[int, int, int]
    system: str
    machine: str
    bits: int
    flags: frozenset[str]
    """The processor's; empty where they cannot be told."""
    cores: float
    memory: int
    """In bytes."""
    open_files: int
    """The soft limit of files that one process may have open."""


def checks() -> list[Check]:
    """What to look at."""
    return [Check(GROUP, "machine", lambda: judge(gather()))]


def gather() -> MachineFacts:
    """Reads `/proc`, the control groups and the limits of this process."""
    grant = granted(_read("/proc/self/cgroup"))
    cores: float = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = psutil.virtual_memory().total
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MachineFacts(
        python=sys.version_info[:3],
        system=platform.system(),
        machine=platform.machine(),
        bits=64 if sys.maxsize > 1 << 32 else 32,
        flags=_flags(_read("/proc/cpuinfo")),
        cores=min(cores, grant.cores or cores),
        memory=min(memory, grant.memory or memory),
        open_files=sys.maxsize if soft == resource.RLIM_INFINITY else soft,
    )


def judge(facts: MachineFacts) -> Iterator[Finding]:
    """Six lines."""
    yield _python(facts.python)
    yield _system(facts)
    yield _processor(facts)
    yield _cores(facts.cores)
    yield _memory(facts.memory)
    yield _open_files(facts.open_files)


def _python(version: tuple[int, int, int]) -> Finding:
    text = ".".join(str(part) for part in version)
    if version[:2] < _OLDEST_PYTHON:
        return failed(
            "python", f"Python {text} is too old", "install Python 3.11 or newer, then `make clean setup`"
        )
    return ok("python", f"Python {text}")


def _system(facts: MachineFacts) -> Finding:
    text = f"{facts.system} {facts.machine}, {facts.bits} bits"
    if facts.bits != 64 or facts.machine.lower() not in _MACHINES:
        remedy = "use a 64-bit Python on x86_64 or aarch64; the engines have wheels for no other"
        return failed("system", text, remedy)
    if facts.system != "Linux":
        return warning(
            "system", text, "run it on Linux, in a container for example; it is tested on no other system"
        )
    return ok("system", text)


def _processor(facts: MachineFacts) -> Finding:
    missing = sorted(_X86_FLAGS - facts.flags) if facts.flags else []
    if facts.machine.lower() in ("x86_64", "amd64") and missing:
        remedy = "use a machine of the level x86-64-v2; for a virtual one, pass the host's processor through"
        return failed("processor", f"lacks {', '.join(missing)}", remedy)
    return ok("processor", "has the instructions that the wheels need")


def _cores(cores: float) -> Finding:
    text = f"{cores:g} cores"
    if cores < 1:
        return warning("cores", text, "grant the container at least one core, better two")
    return ok("cores", text)


def _memory(memory: int) -> Finding:
    text = f"{memory / (1 << 30):.1f} GiB of memory"
    if memory < _MEMORY_FAILED:
        return failed("memory", text, "grant at least 1 GiB, better 2 GiB; the kernel would kill processes")
    if memory < _MEMORY_WARNING:
        return warning("memory", text, "grant 2 GiB or keep knowledge bases small")
    return ok("memory", text)


def _open_files(limit: int) -> Finding:
    text = "no limit of open files" if limit == sys.maxsize else f"{limit} open files for each process"
    if limit < _OPEN_FILES_FAILED:
        return failed("open files", text, "raise the limit: `ulimit -n 4096` before `sluice up`")
    if limit < _OPEN_FILES_WARNING:
        return warning("open files", text, "raise the limit: `ulimit -n 4096` before `sluice up`")
    return ok("open files", text)


def _flags(cpuinfo: str) -> frozenset[str]:
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return frozenset(value.split())
    return frozenset()


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
