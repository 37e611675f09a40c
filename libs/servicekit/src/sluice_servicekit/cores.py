"""How many cores this process may use: a container sees all of its node's, and is slowed down beyond its own."""

import math
import os
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def available(root: Path = _ROOT, own: Path = Path("/proc/self/cgroup")) -> int:
    """Cores by this process's affinity and by the CPU quota of its cgroup (version 2 or 1); one at least."""
    quotas = [quota for folder in _folders(root, own) if (quota := _quota(folder)) is not None]
    return max(1, math.ceil(min([*quotas, _affinity()])))


def _affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _folders(root: Path, own: Path) -> list[Path]:
    """The cgroup's folder and those above it, each of which may set a quota."""
    folders = [root, root / "cpu"]
    for line in _lines(own):
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers in ("", "cpu", "cpu,cpuacct"):
            base = root / "cpu" if controllers else root
            parts = [part for part in path.split("/") if part and part != ".."]
            folders += [base.joinpath(*parts[: end + 1]) for end in range(len(parts))]
    return folders


def _quota(folder: Path) -> float | None:
    """Version 2 says `max 100000` or `150000 100000`, version 1 has a file for each number."""
    numbers = " ".join(_lines(folder / "cpu.max")).split()
    if not numbers:
        numbers = [*_lines(folder / "cpu.cfs_quota_us"), *_lines(folder / "cpu.cfs_period_us")]
    try:
        quota, period = map(int, numbers)
    except ValueError:
        return None
    return quota / period if quota > 0 and period > 0 else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
