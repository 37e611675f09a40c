"""How many cores this process may use: a container sees all of its node's, and is slowed down beyond its own."""

import math
import os
from pathlib import Path

from sluice_servicekit.cgroups import granted


def available(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Cores by this process's affinity and by its cgroup's quota, whichever is less; one at least."""
    groups = own.read_text() if own.exists() else ""
    quota = granted(groups, root).cores
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, affinity if quota is None else min(affinity, math.ceil(quota)))
