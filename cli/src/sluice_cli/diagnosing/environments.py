"""What each process reads from its environment: where it runs, else as `sluice up` would tell it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from sluice_cli.supervising.layout import Layout, UpRecord
from sluice_cli.supervising.plan import GATEWAY, SERVICES, Wiring, plan

#: Stands for the addresses that `sluice up` picks.
CHOSEN = "chosen at start"


@dataclass(frozen=True)
class ProcessEnvironment:
    """One process's environment."""

    variables: Mapping[str, str]
    told: frozenset[str]
    """Those that `sluice up` sets itself."""
    folder: Path
    """The working folder, which relative paths are relative to."""

    def path(self, variable: str) -> Path | None:
        """The path that a variable holds, absolute; None where it is not set."""
        text = self.variables.get(variable, "")
        return self.folder / text if text else None


def planned(
    layout: Layout, environment: Mapping[str, str], api_keys: Path | None
) -> dict[str, ProcessEnvironment]:
    """What `sluice up` would tell each process in this environment."""
    names = (*SERVICES, GATEWAY)
    wiring = Wiring(dict.fromkeys(names, CHOSEN), dict.fromkeys(names, CHOSEN), CHOSEN, -1)
    own = {spec.name: spec.environment for spec in plan(layout, wiring, {}, api_keys, "")}
    own[GATEWAY] = {**own[GATEWAY], "SLUICE_HTTP_LISTEN": CHOSEN}
    here = Path.cwd()
    return {
        name: ProcessEnvironment({**environment, **told}, frozenset(told), here) for name, told in own.items()
    }


def observed(record: UpRecord) -> dict[str, ProcessEnvironment]:
    """What the processes that run were told; those that are down or another user's are left out."""
    found = {}
    for process in record.processes:
        try:
            surroundings = psutil.Process(record.pid).environ()
            running = psutil.Process(process.pid)
            variables, folder = running.environ(), Path(running.cwd())
        except (psutil.Error, OSError, ValueError):
            continue
        told = frozenset(name for name, text in variables.items() if surroundings.get(name) != text)
        found[process.name] = ProcessEnvironment(variables, told, folder)
    return found


def environments(
    layout: Layout, record: UpRecord | None, environment: Mapping[str, str], api_keys: Path | None
) -> dict[str, ProcessEnvironment]:
    """The environment of every process, by name."""
    expected = planned(layout, environment, api_keys)
    return {**expected, **(observed(record) if record is not None else {})}
