"""`python -m operating.subject`: the operator as a process. `SLUICE_BENCH_PROFILE` names a file for a profile of it."""

import cProfile
import os
from typing import Any

from sluice_operator.agents.fleet import Fleet
from sluice_operator.agents.settings import FleetSettings
from sluice_operator.assembly import Dependencies, build_kinds
from sluice_operator.kinds.lora_adapter.kind import LoRAAdapterKind
from sluice_operator.process import run_process
from sluice_operator.reconciling.kind import Kind

PROFILE = "SLUICE_BENCH_PROFILE"


def _kinds(given: Dependencies) -> list[Kind[Any, Any]]:
    kinds = build_kinds(given)
    if any(isinstance(kind, LoRAAdapterKind) for kind in kinds):
        return kinds
    fleet = Fleet(
        given.cluster,
        given.mirror,
        given.wakeups.wake,
        FleetSettings(port=given.settings.agent_port),
        given.clock,
    )
    return [*kinds, LoRAAdapterKind(given.mirror, fleet, given.clock)]


def main() -> None:
    target = os.environ.pop(PROFILE, "")
    profile = cProfile.Profile() if target else None
    try:
        if profile:
            profile.enable()
        run_process(_kinds)
    finally:
        if profile:
            profile.disable()
            profile.dump_stats(target)


if __name__ == "__main__":
    main()
