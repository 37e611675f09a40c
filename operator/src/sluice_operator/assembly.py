"""Builds the kinds from what all of them share."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sluice_operator.cluster.protocol import Cluster
from sluice_operator.reconciling.kind import Kind
from sluice_operator.reconciling.mirror import Mirror
from sluice_operator.reconciling.wakeups import Wakeups
from sluice_operator.settings import OperatorSettings


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What kinds are made of."""

    settings: OperatorSettings
    cluster: Cluster
    mirror: Mirror
    wakeups: Wakeups
    clock: Callable[[], float] = time.time
    """Seconds since the epoch."""


#: Builds all kinds; called once the process does the work, and not while it stands by.
BuildKinds = Callable[[Dependencies], list[Kind[Any, Any]]]


def build_kinds(dependencies: Dependencies) -> list[Kind[Any, Any]]:
    """All kinds there are."""
    return []
