"""What the control groups of this process grant it, in either version."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Version 1 writes "no limit" as a number near the largest.
_UNLIMITED = 1 << 60


@dataclass(frozen=True)
class Grant:
    """Limits; None where there is none."""

    cores: float | None
    memory: int | None
    """In bytes."""


def granted(own_groups: str, root: Path = Path("/sys/fs/cgroup")) -> Grant:
    """The tightest limits on the way from this process's group up to the root.

    Args:
        own_groups: The content of `/proc/self/cgroup`.
        root: Where the groups are mounted.
    """
    cores: list[float] = []
    memory: list[int] = []
    for line in own_groups.splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        names = controllers.split(",")
        if line and not controllers:
            for folder in _upwards(root, path):
                cores += _quota(*(_words(folder / "cpu.max") or ["max"]))
                memory += _bytes(_words(folder / "memory.max"))
        if "cpu" in names:
            for folder in _upwards(root / "cpu", path):
                cores += _quota(*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us"))
        if "memory" in names:
            for folder in _upwards(root / "memory", path):
                memory += _bytes(_words(folder / "memory.limit_in_bytes"))
    return Grant(min(cores, default=None), min(memory, default=None))


def _upwards(root: Path, path: str) -> Iterator[Path]:
    # Inside a container the path may be the host's, which is not there: the root then is the container's own group.
    folder = root / path.lstrip("/")
    while folder != root and root in folder.parents:
        yield folder
        folder = folder.parent
    yield root


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []


def _quota(quota: str = "max", period: str = "100000") -> list[float]:
    return [int(quota) / int(period)] if quota not in ("max", "-1") else []


def _bytes(words: list[str]) -> list[int]:
    return [int(word) for word in words if word != "max" and int(word) < _UNLIMITED]
