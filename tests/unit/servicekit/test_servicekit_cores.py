"""Cores by affinity and by quota, whichever is less."""

import os
from pathlib import Path

import pytest

from sluice_servicekit import cores

MINE = len(os.sched_getaffinity(0))


def laid(root: Path, files: dict[str, str], own: str) -> tuple[Path, Path]:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    (root / "own").write_text(own)
    return root, root / "own"


@pytest.mark.parametrize(
    ("files", "own", "expected"),
    [
        ({}, "", MINE),
        ({"cpu.max": "max 100000\n"}, "0::/\n", MINE),
        ({"cpu.max": "100000 100000\n"}, "0::/\n", 1),
        ({"cpu.max": "50000 100000\n"}, "0::/\n", 1),
        ({"kubepods/pod/cpu.max": "100000 100000\n"}, "0::/kubepods/pod/box\n", 1),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, "4:cpu,cpuacct:/\n", 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, "4:cpu,cpuacct:/\n", MINE),
        ({}, "nonsense\n", MINE),
        ({"cpu.max": "9900000 100000\n"}, "0::/\n", MINE),
    ],
)
def test_the_least_of_affinity_and_quotas_counts(
    tmp_path: Path, files: dict[str, str], own: str, expected: int
) -> None:
    assert cores.available(*laid(tmp_path, files, own)) == expected
