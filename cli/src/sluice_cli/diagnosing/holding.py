"""Who holds the data folder, and who a process is."""

import fcntl
import os
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import psutil

from sluice_cli.errors import CommandError
from sluice_cli.supervising.layout import Layout, UpRecord, read_record


@dataclass(frozen=True)
class Holder:
    """A process, as far as it can be told."""

    pid: int
    """0 where it cannot be told."""
    name: str
    """Its command line up to the first option, which may be a secret; empty where there is no such process."""

    def __str__(self) -> str:
        if not self.pid:
            return "a process that cannot be told"
        return f"process {self.pid} ({self.name})" if self.name else f"process {self.pid}"


def of_process(pid: int) -> Holder:
    """The process of that id."""
    try:
        command = psutil.Process(pid).cmdline()
    except (psutil.Error, ValueError):
        return Holder(pid, "")
    words = takewhile(lambda word: not word.startswith("-"), command[:3])
    return Holder(pid, " ".join(Path(word).name for word in words) or "no command line")


def of_folder(layout: Layout) -> Holder | None:
    """Who holds the data folder's lock; None where nobody does."""
    try:
        lock = os.open(layout.root / "run" / "up.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # Held for an instant. Shared, so that two looks do not see each other.
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(lock, 32, 0).decode(errors="replace").strip()
        return of_process(int(text)) if text.isdigit() else Holder(0, "")
    else:
        return None
    finally:
        os.close(lock)


def running(layout: Layout, holder: Holder | None) -> UpRecord | None:
    """The record of the `sluice up` that holds the folder; None where none does, or it has not written it yet."""
    if holder is None:
        return None  # a record that a killed one left may name a process id that is somebody else's by now
    try:
        record = read_record(layout)
    except CommandError:
        return None
    return record if record.pid == holder.pid else None
