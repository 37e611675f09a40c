"""Group `store`: the data folder. What lies in it is in `databases`."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from sluice_cli.diagnosing.findings import Check, Finding, failed, ok, warning
from sluice_cli.diagnosing.holding import Holder
from sluice_cli.diagnosing.subject import Subject
from sluice_cli.supervising.plan import GATEWAY, SERVICES

GROUP = "store"

_FREE_FAILED, _FREE_WARNING = 100 << 20, 1 << 30

#: Over a network, or shared with a host: SQLite's WAL needs memory that all its readers share, and locks that hold.
_WITHOUT_LOCKS = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "virtiofs",
        "vboxsf",
        "fuse.sshfs",
        "fuse.s3fs",
        "fuse.gcsfuse",
    }
)


@dataclass(frozen=True)
class FolderFacts:
    """The data folder, and the file system below it."""

    root: Path
    exists: bool
    refused: Mapping[Path, str]
    """Folders that cannot be written to, or made, and why."""
    free: int
    """Bytes that may still be written."""
    filesystem: str
    """Its type; empty where it cannot be told."""
    holder: Holder | None
    """Who holds the folder's lock."""
    running: bool
    """The holder is a `sluice up` that says what it runs."""


def checks(subject: Subject) -> list[Check]:
    """What to look at."""
    return [Check(GROUP, "data folder", lambda: judge(gather(subject)))]


def gather(subject: Subject) -> FolderFacts:
    """Writes a file without a name into each folder there is; nothing stays of it."""
    root = subject.layout.root
    there = _there(root)
    folders = [root, *(subject.layout.of(name) for name in (*SERVICES, GATEWAY, "run", "logs"))]
    tried = {folder: _refusal(folder) for folder in folders if folder.exists()} or {there: _refusal(there)}
    return FolderFacts(
        root=root,
        exists=root.exists(),
        refused={folder: reason for folder, reason in tried.items() if reason},
        free=shutil.disk_usage(there).free,
        filesystem=_filesystem(there),
        holder=subject.holder,
        running=subject.running is not None,
    )


def judge(facts: FolderFacts) -> Iterator[Finding]:
    """Four lines."""
    yield _writable(facts)
    yield _space(facts.free)
    yield _filesystem_finding(facts)
    yield _lock(facts)


def _writable(facts: FolderFacts) -> Finding:
    if facts.refused:
        folder, reason = next(iter(facts.refused.items()))
        others = f", nor can {len(facts.refused) - 1} folders in it" if len(facts.refused) > 1 else ""
        detail = f"{folder} cannot be written to{others}: {reason}"
        return failed(
            "data folder", detail, "name a folder of yours in --data, or give yourself the right to write"
        )
    return ok("data folder", f"{facts.root}" if facts.exists else f"{facts.root} is made at the first start")


def _space(free: int) -> Finding:
    text = f"{free / (1 << 30):.1f} GiB free" if free >= 1 << 30 else f"{free >> 20} MiB free"
    remedy = "free some disk space, or name a folder on another disk in --data"
    if free < _FREE_FAILED:
        return failed("disk space", text, remedy)
    if free < _FREE_WARNING:
        return warning("disk space", text, remedy)
    return ok("disk space", text)


def _filesystem_finding(facts: FolderFacts) -> Finding:
    if facts.filesystem in _WITHOUT_LOCKS:
        detail = f"{facts.filesystem}: its locks cannot be relied on"
        return warning("file system", detail, "name a folder on a local disk in --data")
    return ok("file system", facts.filesystem or "its type cannot be told")


def _lock(facts: FolderFacts) -> Finding:
    if facts.holder is None:
        return ok("lock", "nobody uses the data folder")
    if facts.running:
        return ok("lock", f"held by `sluice up`, process {facts.holder.pid}")
    stop = f"kill {facts.holder.pid}" if facts.holder.pid else f"fuser {facts.root / 'run' / 'up.lock'}"
    if " up" in facts.holder.name and "sluice" in facts.holder.name:
        detail = (
            f"{facts.holder} holds the data folder and has not said what it runs: it is starting, or ending"
        )
        return warning("lock", detail, f"look again in a few seconds; if it stays so, end it: `{stop}`")
    detail = f"{facts.holder} holds the data folder and is not a `sluice up` that runs"
    return failed("lock", detail, f"end it: `{stop}`, or name another folder in --data")


def _there(path: Path) -> Path:
    """The nearest that is there on the way up, be it a folder or not."""
    while not os.path.lexists(path):
        path = path.parent
    return path


def _refusal(folder: Path) -> str:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0")
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _filesystem(path: Path) -> str:
    try:
        mounts = psutil.disk_partitions(all=True)
    except (psutil.Error, OSError):
        return ""
    resolved = path.resolve()
    over = [mount for mount in mounts if resolved.is_relative_to(mount.mountpoint)]
    return max(over, key=lambda mount: len(mount.mountpoint)).fstype if over else ""
