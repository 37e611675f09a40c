"""Where things lie in the data folder, and the record of what runs."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sluice_cli.errors import CommandError, usage


@dataclass(frozen=True)
class Layout:
    """The data folder."""

    root: Path

    @property
    def processes(self) -> Path:
        """The record of what runs."""
        return self.root / "run" / "processes.json"

    def log(self, name: str) -> Path:
        """A process's log."""
        return self.root / "logs" / f"{name}.log"

    def of(self, name: str) -> Path:
        """A process's own folder."""
        return self.root / name


@dataclass(frozen=True)
class ProcessRecord:
    """One process."""

    name: str
    pid: int
    """0 while there is none."""
    address: str
    state: str
    """`running` or `restarting`."""
    restarts: int
    log: str


@dataclass(frozen=True)
class UpRecord:
    """What one `sluice up` runs."""

    pid: int
    url: str
    grpc_address: str
    snapshot_address: str
    snapshot_digest: str
    processes: tuple[ProcessRecord, ...]


def write_record(layout: Layout, record: UpRecord) -> None:
    """Puts the record in its place, whole."""
    partial = layout.processes.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    partial.replace(layout.processes)


def read_record(layout: Layout) -> UpRecord:
    """What runs on a data folder.

    Raises:
        CommandError: nothing does.
    """
    nothing = CommandError(f"no `sluice up` runs on {layout.root}", "start one, or name its folder in --data")
    try:
        content = json.loads(layout.processes.read_text(encoding="utf-8"))
        processes = tuple(ProcessRecord(**process) for process in content.pop("processes"))
        record = UpRecord(**content, processes=processes)
    except (OSError, ValueError, KeyError, TypeError):
        raise nothing from None
    if not _alive(record.pid):
        raise nothing
    return record


@contextmanager
def locked(layout: Layout) -> Iterator[None]:
    """Holds the data folder for the length of the block.

    Raises:
        CommandError: the folder cannot be written, or another process holds it.
    """
    try:
        for folder in (layout.root / "run", layout.root / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(layout.root / "run" / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise usage(f"the data folder {layout.root} cannot be used: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            raise usage(
                f"the data folder {layout.root} is in use by another `sluice up` (process {holder})",
                "stop that one, or name another folder in --data",
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        try:
            yield
        finally:
            layout.processes.unlink(missing_ok=True)
    finally:
        os.close(lock)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
